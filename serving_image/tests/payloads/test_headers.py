"""The arguments ``headers`` and ``query_params``."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Serve

HEADERS = """
def describe(headers, query_params):
    return {
        "tags": headers.getlist("X-Tag"), "joined": headers["x-tag"], "once": headers.getlist("x-once"),
        "none": headers.getlist("X-None"), "type": headers.getlist("Content-Type"), "query": str(query_params),
    }

class PythonPredictor:
    def __init__(self, config):
        pass
    def predict(self, headers, query_params):
        if isinstance(headers, list):
            return [describe(*request) for request in zip(headers, query_params)]
        return describe(headers, query_params)
"""
REQUEST = b"""\
POST /api?a=1&a=b+c HTTP/1.1
Host: a
Connection: close
X-Tag: a, b
X-Once: c, d
x-tag:  e\x20
Content-Type: text/plain
Content-Length: 0

"""


@pytest.mark.parametrize("options", [{}, {"server_side_batching": {"max_batch_size": 2, "batch_interval": "1ms"}}])
def test_headers_that_come_several_times(serve: Serve, options: dict[str, object]) -> None:
    """As those of Starlette: ``getlist`` has them one by one, commas and all."""
    with serve(HEADERS, **options).connect() as connection:
        connection.sendall(REQUEST.replace(b"\n", b"\r\n"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "tags": ["a, b", "e"],
        "joined": "a, b, e",
        "once": ["c, d"],
        "none": [],
        "type": ["text/plain"],
        "query": "a=1&a=b+c",
    }
