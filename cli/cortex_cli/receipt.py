"""What ``cortex predict -v`` says of a request: what took how long, and who answered."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from cortex_cli.output import as_json, latency

if TYPE_CHECKING:
    from cortex_cdk.predict.answers import Prediction
    from cortex_cdk.predict.timing import Timing

_WORDS = {
    "name_lookup": "name lookup",
    "connect": "connect",
    "tls": "TLS",
    "send": "send",
    "first_byte": "first byte",
    "rest": "rest of the answer",
}


def receipt(timing: Timing) -> str:
    """Word the receipt of a request, one line for each part."""
    rows = [(_WORDS[part], latency(seconds), "") for part, seconds in timing.parts.items()]
    rows = [(what, took, _replica(timing) if what == _WORDS["first_byte"] else "") for what, took, _ in rows]
    rows.append(("total", latency(timing.total), ""))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{what:{widths[0]}}  {took:>{widths[1]}}  {more}".rstrip() for what, took, more in rows]
    return "\n".join([*lines, *_facts(timing)])


def _replica(timing: Timing) -> str:
    """What the replica says that it did meanwhile."""
    parts = ", ".join(f"{name} {latency(seconds)}" for name, seconds in timing.replica.items())
    return f"in the replica: {parts}" if parts else ""


def _facts(timing: Timing) -> Iterator[str]:
    yield f"sent: {_size(timing.sent)}" + (f" of {timing.content_type}" if timing.content_type else "")
    if timing.status is not None:
        kind = timing.headers.get("content-type")
        yield f"answer: {timing.status}, {_size(timing.received)}" + (f" of {kind}" if kind else "")
    if timing.api:
        yield f"answered by: {timing.api}, revision {timing.revision or 'none'}"
    if timing.request_id:
        yield f"request id: {timing.request_id}"


def _size(count: int) -> str:
    return f"{count:,} bytes" if count != 1 else "1 byte"


def answer_as_json(prediction: Prediction, timing: Timing) -> dict[str, Any]:
    """What ``cortex predict -o json`` prints: documented in docs/output/predict.schema.json."""
    value = prediction.value()
    is_binary = isinstance(value, bytes)
    return {
        "api": timing.api,
        "revision": timing.revision,
        "request_id": timing.request_id,
        "status": timing.status,
        "content_type": prediction.content_type,
        "answer": None if is_binary else value,
        "answer_base64": b64encode(value).decode() if is_binary else None,
        "seconds": _rounded({**timing.parts, "total": timing.total}),
        "replica_seconds": _rounded(timing.replica),
    }


def answer_as_text(prediction: Prediction, timing: Timing) -> str:
    """Write the same as JSON for people, with the answer's numbers as they were answered."""
    document = answer_as_json(prediction, timing)
    answer = prediction.within(1)
    if answer is None:
        return as_json(document)
    place = token_hex()
    return as_json({**document, "answer": place}).replace(json.dumps(place), answer, 1)


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Microseconds: a clock of a computer is no better."""
    return {name: round(value, 6) for name, value in seconds.items()}
