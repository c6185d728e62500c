"""A connection to the AWS API: waitress's, with what waitress lacks.

boto3 uploads an empty object with ``Expect: 100-continue`` and ``Content-Length: 0``. waitress would say "continue",
and take the request for unfinished ever after. Blanks in a header would take waitress quadratic time, and chunks of a
body would take it as much as they like, as in the serving program.
"""

from __future__ import annotations

from cortex_serving.server.chunked_body import ChunkedBody
from cortex_serving.server.header_lines import without_long_blanks
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Reads one request, in linear time."""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header block."""
        super().parse_header(without_long_blanks(header_plus))
        if self.chunked:
            buffer = OverflowableBuffer(self.adj.inbuf_overflow)
            self.body_rcv = ChunkedBody(buffer, self.adj.max_request_body_size - 1)


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection."""

    parser_class = Parser

    def send_continue(self) -> None:
        """Ask for the body, unless the request is complete without one."""
        if not self.request.completed:
            super().send_continue()
