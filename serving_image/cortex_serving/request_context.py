"""One request's way through the server: its admission, who it is, and where its time went."""

from __future__ import annotations

import enum
from types import TracebackType
from typing import Any, Protocol

KEY = "cortex.exchange"  # in the WSGI environment


class Verdict(enum.Enum):
    """What became of a request when it arrived."""

    ADMITTED = "admitted"
    CONTROL = "control"
    NOT_READY = "not ready"
    OVER_LIMIT = "over limit"
    EXPIRED = "expired"


class Outcome(Protocol):
    """What was found out about a request before its turn to be answered came.

    Attributes:
        arguments: What ``predict`` was given of it.
        error: What is raised for it, if that is what was found out.
        traceback: Where that came from.
    """

    arguments: dict[str, Any]
    error: BaseException | None
    traceback: TracebackType | None

    def result(self) -> Any:
        """What the predictor returned for it; raises what was raised."""


class Exchange:
    """Times are in seconds, points in time are those of ``time.perf_counter``; ``batch`` is None without batching.

    Attributes:
        arrived: When all of it had arrived.
        deadline: When its client gives up, or None.
        verdict: What became of it then.
        environ: Its WSGI environment, if that had to be made before its turn to be answered; until then.
        begun: Its response, or what was raised instead, from when the application has begun it until waitress sends it.
        outcome: With server-side batching, what came of it, from when that is known until it is answered.
        refusal: What is answered instead, if its form was not understood or something unexpected happened.
        request_id: The request's id; empty until somebody needs it.
        queue: From its arrival to a thread.
        batch: From there until its batch was dispatched.
        predict: In the predictor.
        encode: Writing the response's body.
        streaming: Whether the body is still being produced when the application returns.
        status: The response's status.
        answered: When it was answered.
    """

    environ: dict[str, Any] | None = None
    begun: Any = None
    outcome: Outcome | None = None
    refusal: Exception | None = None
    request_id = ""
    method = ""
    path = ""
    queue = 0.0
    batch: float | None = None
    predict = 0.0
    encode = 0.0
    streaming = False
    status = 0
    answered = 0.0

    def __init__(self, arrived: float, deadline: float | None, verdict: Verdict) -> None:
        self.arrived = arrived
        self.deadline = deadline
        self.verdict = verdict

    def server_timing(self) -> str:
        """The ``Server-Timing`` header: milliseconds of each part."""
        batch = "" if self.batch is None else f"batch;dur={self.batch * 1000:.3f}, "
        return (
            f"queue;dur={self.queue * 1000:.3f}, {batch}"
            f"predict;dur={self.predict * 1000:.3f}, encode;dur={self.encode * 1000:.3f}"
        )
