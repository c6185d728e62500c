"""Turns a request's body into the ``payload`` that ``predict`` gets.

``read`` chooses by content type; read it first. ``content_encoding`` decompresses bodies, ``forms`` reads form fields
and files, ``validation`` and ``typed_forms`` check payloads that have a type hint. ``request_data`` holds the other two
arguments of ``predict``: query parameters and headers.

May import: ``errors``.
"""
