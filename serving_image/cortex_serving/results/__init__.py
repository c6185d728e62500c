"""What ``predict`` returned, as an HTTP response.

``render`` chooses by the value; read it first. ``json_values`` makes JSON of numbers, tables and models of other
libraries, ``streams`` sends what a generator yields, ``starlette`` takes starlette's responses, ``headers`` checks what
predictors choose.

May import: ``errors``.
"""
