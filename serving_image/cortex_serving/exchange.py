"""One request's way through the server: who it is and where its time went."""

from __future__ import annotations

from cortex_serving.dispatcher import Ticket

KEY = "cortex.exchange"  # in the WSGI environment


class Exchange:
    """Times are in seconds; ``batch`` is None without server-side batching.

    Attributes:
        request_id: The request's id.
        ticket: Its admission.
        queue: From its arrival to a thread.
        batch: From there until its batch was dispatched.
        predict: In the predictor.
        encode: Writing the response's body.
        streaming: Whether the body is still being produced when the application returns.
    """

    __slots__ = ("batch", "encode", "method", "path", "predict", "queue", "request_id", "streaming", "ticket")

    def __init__(self, request_id: str, ticket: Ticket, method: str, path: str, now: float) -> None:
        self.request_id = request_id
        self.ticket = ticket
        self.method = method
        self.path = path
        self.queue = now - ticket.arrived
        self.batch: float | None = None
        self.predict = 0.0
        self.encode = 0.0
        self.streaming = False

    def server_timing(self) -> str:
        """The ``Server-Timing`` header: milliseconds of each part."""
        batch = "" if self.batch is None else f"batch;dur={self.batch * 1000:.3f}, "
        return (
            f"queue;dur={self.queue * 1000:.3f}, {batch}"
            f"predict;dur={self.predict * 1000:.3f}, encode;dur={self.encode * 1000:.3f}"
        )
