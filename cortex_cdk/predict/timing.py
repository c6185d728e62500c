"""What a request took, part by part: a receipt."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cortex_serving.contract import API_HEADER, REQUEST_ID_HEADER, REVISION_HEADER

# The events of httpcore (https://www.encode.io/httpcore/extensions/#trace) at which a part ends, with the part's name.
_PARTS = {
    "connection.connect_tcp.complete": "connect",
    "connection.start_tls.complete": "tls",
    "http11.send_request_body.complete": "send",
    "http11.receive_response_headers.complete": "first_byte",
}
_SERVER_TIMING = re.compile(r"([\w-]+);dur=([\d.]+)")


@dataclass
class Timing:
    """Measures one request.

    Attributes:
        parts: Seconds of each part, in their order: ``name_lookup``, ``connect``, ``tls``, ``send``, ``first_byte``
            (waiting for it), ``rest``. Parts that there were not are missing.
        replica: Seconds of the replica's own parts, of which ``first_byte`` consists: see ``Server-Timing`` in
            ``docs/serving-metrics.md``.
        total: Seconds altogether.
        status: The answer's HTTP status.
        headers: The answer's headers.
        content_type: Of what was sent.
        sent: Bytes of the request's body.
        received: Bytes of the answer's body, as they came.
    """

    parts: dict[str, float] = field(default_factory=dict)
    replica: dict[str, float] = field(default_factory=dict)
    total: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    sent: int = 0
    received: int = 0
    _began: float = 0.0
    _since: float = 0.0

    @property
    def api(self) -> str | None:
        """The API that answered, which may be one of a traffic splitter's."""
        return self.headers.get(API_HEADER.lower())

    @property
    def revision(self) -> str | None:
        """Its revision."""
        return self.headers.get(REVISION_HEADER.lower())

    @property
    def request_id(self) -> str | None:
        """By which the replica's log knows the request."""
        return self.headers.get(REQUEST_ID_HEADER.lower())

    def begin(self, sent: int, headers: Mapping[str, str]) -> None:
        """The request begins.

        Args:
            sent: Bytes of its body.
            headers: Its headers.
        """
        self.sent = sent
        self.content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
        self._began = self._since = time.perf_counter()

    def looked_up(self) -> None:
        """The host's name is known."""
        if "name_lookup" not in self.parts:
            self._end_part("name_lookup")

    def hear(self, event: str, _info: Mapping[str, object]) -> None:
        """Hear of an event of httpcore."""
        if part := _PARTS.get(event):
            self._end_part(part)

    def end(self, status: int, headers: Mapping[str, str], received: int) -> None:
        """The answer is here.

        Args:
            status: Its HTTP status.
            headers: Its headers.
            received: Bytes of its body.
        """
        self._end_part("rest")
        self.total = time.perf_counter() - self._began
        self.status, self.received = status, received
        self.headers = {name.lower(): value for name, value in headers.items()}
        timing = self.headers.get("server-timing", "")
        self.replica = {name: float(value) / 1000 for name, value in _SERVER_TIMING.findall(timing)}

    def _end_part(self, part: str) -> None:
        now = time.perf_counter()
        self.parts[part] = now - self._since
        self._since = now
