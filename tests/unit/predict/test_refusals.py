"""What people are told of an answer that is no success, and what scripts get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cortex_cdk.predict.refusals import refused
from tests.unit.status.evidence import api

REPLICA = {"content-type": "application/json", "x-cortex-api": "iris", "x-request-id": "Root=1-6b0d-8af2"}


@pytest.mark.parametrize(
    ("status", "answer", "details"),
    [
        (500, {"error": "internal server error", "request_id": "Root=1"}, []),
        (400, {"error": "the body is not valid JSON"}, ["the body is not valid JSON"]),
        (415, {"error": "first\nsecond"}, ["first", "second"]),
        (422, {"error": "invalid", "problems": [{"field": "a", "problem": "is missing"}]}, ["a: is missing"]),
        (409, {"error": "taken", "by": {"name": "x"}}, ["taken", "{", '  "by": {', '    "name": "x"', "  }", "}"]),
        (400, {"detail": "of the predictor's own"}, ["{", '  "detail": "of the predictor\'s own"', "}"]),
        (400, ["a"], ["[", '  "a"', "]"]),
        (400, "a text", ['"a text"']),
        (400, {}, []),
    ],
)
def test_an_answer_in_words(status: int, answer: Any, details: list[str]) -> None:
    error = refused(api("live"), status, REPLICA, json.dumps(answer).encode())
    assert list(error.details) == details
    assert error.answer == answer


def test_scripts_get_what_was_sent() -> None:
    body = b'{"error":"no","request_id":"Root=1"}'
    assert refused(api("live"), 400, REPLICA, body).as_json()["details"] == [body.decode()]
    assert refused(api("live"), 503, {}, b"Service Unavailable").as_json()["details"] == []


def test_the_log_of_the_request_is_named() -> None:
    hint = refused(api("live"), 500, REPLICA, b"{}").hint
    assert hint == "see the replica's side with: cortex logs iris --request-id Root=1-6b0d-8af2"
    odd = refused(api("live"), 500, {**REPLICA, "x-request-id": "a b"}, b"{}").hint
    assert odd == "see the replica's side with: cortex logs iris --request-id 'a b'"
    # The load balancer answers for replicas that are not there.
    assert refused(api("live"), 503, {}, b"").hint == f"see the replica's side with: cortex logs {api('live').name}"
