"""Request headers: waitress's parser made stricter (``CarefulParser``), and faster by tables (``TableParser``).

The fast path takes a header block that came whole, and has: a first line that waitress's own expression accepts,
HTTP/1.0 or 1.1, header lines that each match waitress's own expression, no name twice, no underscore in a name, no
``Transfer-Encoding``, no ``Expect``, and at most one plain decimal ``Content-Length``. Everything else, every error
included, goes to the stock parser from the start; nothing is committed before the block is understood completely.

Clients and load balancers send the same lines again and again, and many clients the same block, so lines and blocks
that were accepted once are kept in tables of bounded size; what is in them came through the same expressions as
everything else. Nothing changes what was read of a block: requests share it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from waitress.parser import HTTPRequestParser, ParsingError, crack_first_line, split_uri
from waitress.receiver import FixedStreamReceiver

from cortex_serving.access.gate import Gate, Judgement
from cortex_serving.request_context import Exchange
from cortex_serving.server.body_memory import SMALL_BYTES, BodyBuffer, BodyMemory
from cortex_serving.server.chunked_body import ChunkedBody
from cortex_serving.server.header_lines import FIELD, without_long_blanks
from cortex_serving.server.rejected_requests import RefusedUnread
from cortex_serving.server.request_body import IN_MEMORY_BYTES, MemoryBody

_MAX_LINES = 2048
_MAX_LINE_BYTES = 256
_MAX_BLOCKS = 256
_MAX_BLOCK_BYTES = 1024
_HOST_LINE = re.compile(rb"\r\nhost:", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w.~!$&'()*+,;=%-]*|\[[\w:.]+\])(?::\d*)?", re.ASCII)
"""A name or address, and a port: RFC 9110, 7.2, and RFC 3986, 3.2.2."""
_UNUSUAL = frozenset({"TRANSFER_ENCODING", "EXPECT"})

Line = tuple[str, str]
"""Name as waitress keeps it, value."""
FirstLine = tuple[str, str, str, tuple[str, str, str, str, str]]
"""Method, URI, version, and the URI's parts."""

_lines: dict[bytes, Line] = {}
_first_lines: dict[bytes, FirstLine] = {}


class Block(NamedTuple):
    """A header block that was understood.

    Attributes:
        first: The first line.
        headers: As waitress keeps them.
        length: Bytes of the body.
        close: Whether the connection ends with the request.
    """

    first: FirstLine
    headers: dict[str, str]
    length: int
    close: bool


_blocks: dict[bytes, Block] = {}


def _parse_line(line: bytes) -> Line | None:
    """One header line, by waitress's own rules; None if it is unusual in any way."""
    match = FIELD.match(line)
    if match is None or b"\n" in line or b"\r" in line or not line.isascii():
        return None
    name, value = match.group("name", "value")
    if b"_" in name:
        return None
    key = name.upper().replace(b"-", b"_").decode("latin-1")
    parsed = (key, value.strip(b" \t").decode())
    if key in _UNUSUAL or (key == "HOST" and not _HOST.fullmatch(parsed[1])):
        return None
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
    """A header block; None if anything about it is unusual."""
    first, *rest = block.split(b"\r\n")
    parsed_first = _first_lines.get(first) or _parse_first_line(first)
    if parsed_first is None:
        return None
    headers: dict[str, str] = {}
    for line in rest:
        parsed = _lines.get(line) or _parse_line(line)
        if parsed is None:
            return None
        headers[parsed[0]] = parsed[1]
    if len(headers) != len(rest):
        return None  # a name came twice
    if parsed_first[2] == "1.1" and "HOST" not in headers:
        return None
    length = headers.get("CONTENT_LENGTH", "0")
    if not (length.isdigit() and len(length) < 16):
        return None
    connection = headers.get("CONNECTION", "").lower()
    close = connection != "keep-alive" if parsed_first[2] == "1.0" else connection == "close"
    read = Block(parsed_first, headers, int(length), close)
    if len(_blocks) < _MAX_BLOCKS and len(block) <= _MAX_BLOCK_BYTES:
        _blocks[block] = read
    return read


def _repeated(block: bytes) -> dict[str, list[str]]:
    """The values of header lines whose name comes more than once; none where a line is folded, which is obsolete."""
    values: dict[str, list[str]] = {}
    for line in block.rstrip().split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        if name[:1] in (" ", "\t"):
            return {}
        values.setdefault(name.lower(), []).append(value.strip(" \t"))
    return {name: several for name, several in values.items() if len(several) > 1}


class CarefulParser(HTTPRequestParser):  # type: ignore[misc]
    """waitress's parser, with rules that it lacks.

    A request that is rejected is not told to continue (RFC 9110, 10.1.1). One that says its length as a number and as
    chunks may be an attempt at smuggling: it is the last of its connection (RFC 9112, 6.1). Chunks in HTTP/1.0, which
    does not know them, are refused, as two programs may see different ends of the request (RFC 9112, 6.1). A request of
    HTTP/1.1 names one host that can be one, and no request names two (RFC 9112, 3.2). Blanks without end cost no time.
    Of a chunked body the payload counts against the limit, not the framing. All bodies share a budget of memory. The
    body of a request that is not let in is not waited for.

    Attributes:
        memory: What bodies may take together; that of the server's class (``parser_class``).
        gate: Decides who is let in; None where everybody is.
        began: ``time.time`` when the first of it came, if not all came at once; 0 before.
        exchange: The request on its way, once admission has decided about it.
        judgement: What the gate says about the request; None until its header has come, or where there is no gate.
        repeated: Values of the headers that came more than once, by their names in lower case; waitress joins them.
    """

    body_rcv: Any
    completed: bool
    error: Any

    memory: BodyMemory
    gate: Gate | None = None
    began = 0.0
    exchange: Exchange | None = None
    repeated: Mapping[str, Sequence[str]] = MappingProxyType({})
    judgement: Judgement | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header block."""
        super().parse_header(without_long_blanks(header_plus))
        if self.version == "1.0" and "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding in HTTP/1.0")
        hosts = _HOST_LINE.findall(header_plus)
        if len(hosts) > 1 or (self.version == "1.1" and not hosts):
            raise ParsingError(f"{len(hosts)} Host headers instead of one")
        if not _HOST.fullmatch(self.headers.get("HOST", "")):
            raise ParsingError("the Host header is not HOST or HOST:PORT")
        self.repeated = _repeated(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            self.headers["CONNECTION"] = "close"
            self.connection_close = True
        if self.chunked:
            self.body_rcv = ChunkedBody(self._buffer(), self.adj.max_request_body_size - 1)
        elif self.body_rcv is not None:
            self.body_rcv = FixedStreamReceiver(self.content_length, self._buffer())

    def _buffer(self) -> BodyBuffer:
        return BodyBuffer(self.memory, self.adj.inbuf_overflow)

    def received(self, data: bytes) -> int:
        """Take data; returns how many bytes of it belong to this request."""
        if self.chunked:
            self.body_bytes_received = -len(data)  # waitress would count the framing; the receiver counts the payload
        consumed: int = super().received(data)
        if self.gate is not None and self.headers_finished and self.judgement is None:
            self._judge(self.gate)
        if self.error is not None:
            self.expect_continue = False
        return consumed

    def _judge(self, gate: Gate) -> None:
        """Ask the gate. What it refuses is answered now, unless the request is complete and its connection can stay."""
        if self.error is not None or self.empty:
            return
        self.judgement = gate.judge(self.command, self.path, self.headers)
        if self.judgement.refusal is not None and not self.completed:
            self.error = RefusedUnread(self.judgement.refusal)
            self.completed = True


class TableParser(CarefulParser):
    """The parser with a fast path for ordinary requests."""

    def received(self, data: bytes) -> int:
        """Take data; returns how many bytes of it belong to this request."""
        if not (self.header_plus or self.headers_finished or self.completed):
            end = data.find(b"\r\n\r\n")
            if 0 < end < self.adj.max_request_header_size - 4 and self._understood(data[:end]):
                consumed = self._begin_body(data, end + 4)
                if self.gate is not None:
                    self._judge(self.gate)
                return consumed
        return super().received(data)

    def _understood(self, block: bytes) -> bool:
        """Take the header block if there is nothing unusual about it; else leave everything as it was."""
        read = _blocks.get(block) or _parse_block(block)
        if read is None or read.length >= self.adj.max_request_body_size:
            return False
        first, self.headers, self.content_length, self.connection_close = read
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
        taken = None
        if length > SMALL_BYTES:
            taken = self.memory.take(length) if length <= IN_MEMORY_BYTES else None
            if taken is None:
                self.body_rcv = FixedStreamReceiver(length, self._buffer())
                return start
        first = data[start : start + length]
        self.body_rcv = MemoryBody(length, first, taken)
        self.body_bytes_received = len(first)
        self.completed = self.body_rcv.completed
        return start + len(first)


def parser_class(*, fast: bool, memory: BodyMemory, gate: Gate | None) -> type[CarefulParser]:
    """Make the class of a server's parsers. Each request has a parser, so what all share is the class's.

    Args:
        fast: Whether ordinary requests take the fast path.
        memory: What bodies may take together.
        gate: Decides who is let in; None where everybody is.
    """
    base = TableParser if fast else CarefulParser
    return type(base.__name__, (base,), {"memory": memory, "gate": gate})
