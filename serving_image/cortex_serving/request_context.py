"""One request and its response on their way through the server: the verdict of admission, the id, the times.

An ``Exchange`` is made when all of a request has arrived, and travels with it, in the WSGI environment (``KEY``).
"""

from __future__ import annotations

import enum
from types import TracebackType
from typing import Any, Protocol

KEY = "cortex.exchange"  # in the WSGI environment
REPEATED = "cortex.repeated_headers"  # there too, where headers came more than once: their values by their names


class Verdict(enum.Enum):
    """The decision of admission (``scheduling.admission``) about a request when it arrived."""

    ADMITTED = "admitted"
    CONTROL = "control"
    NOT_READY = "not ready"
    OVER_LIMIT = "over limit"
    EXPIRED = "expired"
    ABANDONED = "abandoned"


class Outcome(Protocol):
    """The result of a request that was predicted, in a batch, before its turn to be answered came.

    Attributes:
        arguments: By name, what ``predict`` was given of the request.
        error: The exception that is its answer, if it is one.
        traceback: Where the exception came from.
    """

    arguments: dict[str, Any]
    error: BaseException | None
    traceback: TracebackType | None

    def result(self) -> Any:
        """The value that the predictor returned.

        Raises:
            BaseException: The answer is an exception.
        """


class Exchange:
    """A request and its response. Durations are in seconds, points in time are those of ``time.perf_counter``.

    Args:
        arrived: When all of the request had arrived.
        deadline: When its client gives up, or None.
        verdict: The decision of admission.

    Attributes:
        environ: The WSGI environment, from when it is made (before the application is called) until a task takes it.
        begun: The application's response, or the exception that it raised, until waitress sends it.
        outcome: With server-side batching, the result, from when it is known until the request is answered.
        refusal: The answer instead of a prediction, if the request's form was not understood, its client is not let
            in, or our own code failed.
        key: Name of the API key that the request came with; empty where there is none.
        key_header: Header that holds the key, as WSGI names it.
        request_id: The request's id; empty until somebody needs it.
        queue: Time from its arrival to a thread.
        batch: Time from there until its batch was dispatched; None without batching.
        predict: Time in the predictor.
        encode: Time to write the response's body.
        streaming: Whether the body is still being produced when the application returns.
        events: Whether that body is server-sent events.
        stream: That body while it is sent, if it may be left and gone on with; None before and after.
        can_park: Whether a streamed answer may be left in the middle, and gone on with by ``resume``.
        status: The response's status.
        answered: When it was answered; 0 before.
    """

    environ: dict[str, Any] | None = None
    begun: Any = None
    outcome: Outcome | None = None
    refusal: Exception | None = None
    key = ""
    key_header = ""
    request_id = ""
    method = ""
    path = ""
    queue = 0.0
    batch: float | None = None
    predict = 0.0
    encode = 0.0
    streaming = False
    events = False
    stream: Any = None
    can_park = False
    status = 0
    answered = 0.0

    def __init__(self, arrived: float, deadline: float | None, verdict: Verdict) -> None:
        self.arrived = arrived
        self.deadline = deadline
        self.verdict = verdict

    @property
    def waits(self) -> bool:
        """Whether nobody has begun to work on the request, although it was admitted."""
        return False

    def note(self, key: str, key_header: str, refusal: Exception | None) -> None:
        """Keep what the gate says about the request: its key, the header of the key, the answer if it is refused."""
        self.key, self.key_header, self.refusal = key, key_header, refusal

    def abandon(self) -> None:
        """Drop the request if it waits: its connection has ended."""

    def resume(self, *, connected: bool) -> None:
        """Go on with an answer that was left in the middle.

        Args:
            connected: Whether its client is still there.
        """

    def server_timing(self) -> str:
        """The ``Server-Timing`` header: milliseconds of each part."""
        batch = "" if self.batch is None else f"batch;dur={self.batch * 1000:.3f}, "
        return (
            f"queue;dur={self.queue * 1000:.3f}, {batch}"
            f"predict;dur={self.predict * 1000:.3f}, encode;dur={self.encode * 1000:.3f}"
        )
