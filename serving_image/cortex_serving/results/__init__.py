"""Turns the value that ``predict`` returned into an HTTP response.

``render`` chooses by the value's type; read it first. ``json_values`` converts numbers, tables and models of other
libraries for JSON, ``streams`` sends the items of a generator, ``starlette`` takes responses of starlette, ``headers``
checks statuses and headers that predictors choose.

May import: ``errors``.
"""
