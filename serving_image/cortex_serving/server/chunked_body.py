"""Chunked request bodies in linear time and bounded memory (RFC 9112, 7.1).

``ChunkedBody`` accepts exactly what waitress's receiver accepts (waitress 3.0.2; ``tests/server/test_chunked_body.py``
compares them), but for three limits that waitress lacks: the payload, without its framing, has a longest size; chunk
extensions have 16 KiB in all; and so has the trailer, which nobody reads. waitress copies the rest of what came for
each chunk, and all of an unfinished line for each packet.
"""

from __future__ import annotations

from typing import Any

from waitress.receiver import ChunkedReceiver
from waitress.rfc7230 import CHUNK_EXT_RE, ONLY_HEXDIG_RE
from waitress.utilities import BadRequest, RequestEntityTooLarge, RequestHeaderFieldsTooLarge, find_double_newline

MOST_EXTENSION_BYTES = 16 * 1024
MOST_TRAILER_BYTES = 16 * 1024
_MOST_SIZE_BYTES = 1024  # of a line with a chunk's size, which are digits; zeros may come first


class ChunkedBody(ChunkedReceiver):  # type: ignore[misc]
    """Receives a chunked body.

    Args:
        buffer: Takes the payload.
        most: Bytes of the largest payload.

    Attributes:
        error: What is wrong with the body; None while nothing is.
        completed: Whether all of it has come.
    """

    completed: bool
    error: Any
    all_chunks_received: bool
    chunk_remainder: int
    validate_chunk_end: bool
    trailer: bytes

    def __init__(self, buffer: Any, most: int) -> None:
        super().__init__(buffer)
        self._left = most
        self._extensions = 0
        self._line = bytearray()  # the beginning of a line whose end has not come

    def received(self, data: bytes) -> int:
        """Take data; returns how many bytes of it belong to the body."""
        if self.completed:
            return 0
        at, size, payload = 0, len(data), []
        while at < size and self.error is None and not self.all_chunks_received:
            if self.chunk_remainder:
                piece = data[at : at + self.chunk_remainder]
                payload.append(piece)
                at += len(piece)
                self.chunk_remainder -= len(piece)
                self.validate_chunk_end = not self.chunk_remainder
                continue
            line, at = self._take_line(data, at)
            if line is None:
                break
            if self.validate_chunk_end:
                self.validate_chunk_end = False
                if line:
                    self.error = BadRequest("Chunk not properly terminated")
            else:
                self._begin_chunk(line)
        if payload:
            self.buf.append(payload[0] if len(payload) == 1 else b"".join(payload))
        if self.error is None and self.all_chunks_received and at < size:
            return self._trailer(data, at)
        return size

    def _take_line(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """A line without its end, and where the data goes on; None, and the rest is kept, if the end has not come."""
        if self._line.endswith(b"\r") and data.startswith(b"\n", at):
            line = bytes(self._line[:-1])
            self._line.clear()
            return line, at + 1
        end = data.find(b"\r\n", at)
        most = 1 if self.validate_chunk_end else MOST_EXTENSION_BYTES + _MOST_SIZE_BYTES
        length = len(self._line) + (len(data) if end < 0 else end) - at
        if length > most:
            # A line that is no chunk's end is wrong anyway; only its first bytes tell.
            self.error = BadRequest("Chunk not properly terminated" if self.validate_chunk_end else "Chunk extensions")
            return None, len(data)
        if end < 0:
            self._line += data[at:]
            return None, len(data)
        line = bytes(self._line + data[at:end])
        self._line.clear()
        return line, end + 2

    def _begin_chunk(self, line: bytes) -> None:
        digits, semicolon, _ = line.partition(b";")
        self._extensions += len(line) - len(digits) + (0 if digits else 2)  # and empty lines, which are passed over
        if self._extensions > MOST_EXTENSION_BYTES or len(digits) > _MOST_SIZE_BYTES:
            self.error = BadRequest(f"Chunk extensions of more than {MOST_EXTENSION_BYTES} bytes")
        elif not line:
            return
        elif semicolon and not CHUNK_EXT_RE.match(line[len(digits) :]):
            self.error = BadRequest("Invalid chunk extension")
        elif not ONLY_HEXDIG_RE.match(digits):
            self.error = BadRequest("Invalid chunk size")
        else:
            self._take_size(int(digits, 16))

    def _take_size(self, size: int) -> None:
        if size > self._left:
            self.error = RequestEntityTooLarge("chunks")
        self._left -= size
        self.chunk_remainder = size
        self.all_chunks_received = not size

    def _trailer(self, data: bytes, at: int) -> int:
        before = len(self.trailer)
        trailer = self.trailer + data[at : at + MOST_TRAILER_BYTES + 1 - before]
        end = 2 if trailer.startswith(b"\r\n") else find_double_newline(trailer)
        if end < 0:
            self.trailer = trailer
            if len(trailer) > MOST_TRAILER_BYTES:
                self.error = RequestHeaderFieldsTooLarge(f"the trailer has more than {MOST_TRAILER_BYTES} bytes")
            return len(data)
        self.completed = True
        return at + end - before
