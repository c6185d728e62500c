"""Request headers, read with tables.

The fast path takes a header block that came whole, and has: a first line that waitress's own expression accepts,
HTTP/1.0 or 1.1, header lines that each match waitress's own expression, no name twice, no underscore in a name, no
``Transfer-Encoding``, no ``Expect``, and at most one plain decimal ``Content-Length``. Everything else, every error
included, goes to the stock parser from the start; nothing is committed before the block is understood completely.

Clients and load balancers send the same lines again and again, and many clients the same block, so lines and blocks
that were accepted once are kept in tables of bounded size; what is in them came through the same expressions as
everything else. Nothing changes what was read of a block: requests share it.
"""

from __future__ import annotations

from typing import NamedTuple

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser, ParsingError, crack_first_line, split_uri
from waitress.receiver import FixedStreamReceiver
from waitress.rfc7230 import HEADER_FIELD_RE

from cortex_serving.server.request_body import IN_MEMORY, MemoryBody

_MAX_LINES = 2048
_MAX_LINE_BYTES = 256
_MAX_BLOCKS = 256
_MAX_BLOCK_BYTES = 1024
_UNUSUAL = frozenset({"TRANSFER_ENCODING", "EXPECT"})
_BARE = (b"\r", b"\n")

Line = tuple[str, str, str]
"""Name as waitress keeps it, name in the WSGI environment, value."""
FirstLine = tuple[str, str, str, tuple[str, str, str, str, str]]
"""Method, URI, version, and the URI's parts."""

_lines: dict[bytes, Line] = {}
_first_lines: dict[bytes, FirstLine] = {}


class Block(NamedTuple):
    """What was read of a header block.

    Attributes:
        first: Of the first line.
        headers: As waitress keeps them.
        wsgi: What the block says in the WSGI environment.
        length: Of the body.
        close: Whether the connection ends with the request.
    """

    first: FirstLine
    headers: dict[str, str]
    wsgi: dict[str, str]
    length: int
    close: bool


_blocks: dict[bytes, Block] = {}


def _parse_line(line: bytes) -> Line | None:
    """One header line, by waitress's own rules; None if it is unusual in any way."""
    match = HEADER_FIELD_RE.match(line)
    if match is None or b"\n" in line or b"\r" in line or not line.isascii():
        return None
    name, value = match.group("name", "value")
    if b"_" in name:
        return None
    key = name.upper().replace(b"-", b"_").decode("latin-1")
    if key in _UNUSUAL:
        return None
    parsed = (key, key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", value.strip(b" \t").decode())
    if len(_lines) < _MAX_LINES and len(line) <= _MAX_LINE_BYTES:
        _lines[line] = parsed
    return parsed


def _parse_first_line(line: bytes) -> FirstLine | None:
    """The first line, by waitress's own rules; None if it is unusual in any way."""
    stripped = line.rstrip()
    if stripped != line or b"\n" in line or b"\r" in line or not line.isascii():
        return None
    try:
        command, uri, version = crack_first_line(line)
        if version not in (b"1.1", b"1.0"):
            return None
        parts = split_uri(uri)
    except (ParsingError, ValueError):
        return None
    parsed = (command.decode(), uri.decode(), version.decode(), parts)
    if len(_first_lines) < _MAX_LINES and len(line) <= _MAX_LINE_BYTES:
        _first_lines[line] = parsed
    return parsed


def _parse_block(block: bytes) -> Block | None:
    """A header block, if there is nothing unusual about it."""
    first, *rest = block.split(b"\r\n")
    parsed_first = _first_lines.get(first) or _parse_first_line(first)
    if parsed_first is None:
        return None
    headers: dict[str, str] = {}
    wsgi = _request_line(parsed_first)
    for line in rest:
        parsed = _lines.get(line) or _parse_line(line)
        if parsed is None:
            return None
        key, wsgi_key, value = parsed
        headers[key] = wsgi[wsgi_key] = value
    if len(headers) != len(rest):
        return None  # a name came twice
    length = headers.get("CONTENT_LENGTH", "0")
    if not (length.isdigit() and len(length) < 16):
        return None
    connection = headers.get("CONNECTION", "").lower()
    close = connection != "keep-alive" if parsed_first[2] == "1.0" else connection == "close"
    read = Block(parsed_first, headers, wsgi, int(length), close)
    if len(_blocks) < _MAX_BLOCKS and len(block) <= _MAX_BLOCK_BYTES:
        _blocks[block] = read
    return read


def _request_line(first: FirstLine) -> dict[str, str]:
    command, uri, version, (_, _, path, query, _) = first
    return {
        "REQUEST_METHOD": command.upper(),
        "SERVER_PROTOCOL": f"HTTP/{version}",
        "PATH_INFO": "/" + path.lstrip("/") if path.startswith("//") else path,
        "REQUEST_URI": uri,
        "QUERY_STRING": query,
    }


class TableParser(HTTPRequestParser):  # type: ignore[misc]
    """waitress's parser with a fast path for ordinary requests.

    Attributes:
        wsgi: What the header block says in the WSGI environment; None after the stock path.
    """

    wsgi: dict[str, str] | None = None
    memory_bodies = True

    def received(self, data: bytes) -> int:
        """Take data; returns how much of it belongs to this request."""
        if not (self.header_plus or self.headers_finished or self.completed):
            end = data.find(b"\r\n\r\n")
            if 0 < end < self.adj.max_request_header_size - 4 and self._understood(data[:end]):
                return self._begin_body(data, end + 4)
        consumed: int = super().received(data)
        return consumed

    def take_whole(self, data: bytes) -> bool:
        """Take a request that ends where the data ends.

        Returns:
            False if it does not, or is not an ordinary one; this parser cannot be used then.
        """
        end = data.find(b"\r\n\r\n")
        if not (0 < end < self.adj.max_request_header_size - 4 and self._understood(data[:end])):
            return False
        start = end + 4
        length = self.content_length
        if len(data) - start != length or length > IN_MEMORY:
            return False
        if length:
            self.body_rcv = MemoryBody.whole(data[start:])
        self.header_bytes_received, self.body_bytes_received = start, length
        self.completed = True
        return True

    def _understood(self, block: bytes) -> bool:
        """Take the header block if there is nothing unusual about it; else leave everything as it was."""
        read = _blocks.get(block) or _parse_block(block)
        if read is None or read.length >= self.adj.max_request_body_size:
            return False
        first, self.headers, self.wsgi, self.content_length, self.connection_close = read
        self.command, self.request_uri, self.version, uri = first
        self.proxy_scheme, self.proxy_netloc, self.path, self.query, self.fragment = uri
        self.url_scheme = self.adj.url_scheme
        self.headers_finished = True
        return True

    def _begin_body(self, data: bytes, start: int) -> int:
        """Go on to the body, which often came with the header."""
        self.header_bytes_received = start
        length = self.content_length
        if not length:
            self.completed = True
            return start
        if not self.memory_bodies or length > IN_MEMORY:
            self.body_rcv = FixedStreamReceiver(length, OverflowableBuffer(self.adj.inbuf_overflow))
            return start
        self.body_rcv = MemoryBody(length)
        if start == len(data):
            return start
        taken: int = self.body_rcv.received(data[start:])
        self.body_bytes_received = taken
        self.completed = self.body_rcv.completed
        return start + taken


class SpoolingTableParser(TableParser):
    """The fast headers, with bodies the stock way."""

    memory_bodies = False
