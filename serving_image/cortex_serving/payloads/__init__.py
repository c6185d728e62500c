"""A request's body, as the ``payload`` that ``predict`` gets.

``read`` chooses by content type; read it first. ``content_encoding`` unpacks compressed bodies, ``forms`` reads form
fields and files, ``validation`` and ``typed_forms`` serve payloads with a type hint, ``request_data`` is what
``predict`` sees besides: query parameters and headers.

May import: ``errors``.
"""
