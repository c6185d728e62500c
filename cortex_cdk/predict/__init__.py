"""Sends requests to APIs, and reads their answers.

    Python values, files -> ``values`` -> Call -> ``connections`` -> Answer -> a Python value, or its parts
    openapi.json -> ``description`` -> the fields that an API takes -> ``api``: a function with these arguments

``call`` is what is sent, ``route`` where to and as whom, ``answers`` what comes back, ``refusals`` what is said of an
answer that is an error, ``timing`` what took how long. Requests go over httpx (docs/decisions/0065): ``connections``
and ``async_connections`` are the only modules that send.

May import: ``status`` and below. Read ``connections`` first.
"""
