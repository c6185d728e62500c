"""Chunked bodies are read as waitress reads them, with limits that waitress lacks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.buffers import OverflowableBuffer
from waitress.receiver import ChunkedReceiver
from waitress.utilities import BadRequest, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from cortex_serving.server.chunked_body import MOST_EXTENSION_BYTES, MOST_TRAILER_BYTES, ChunkedBody

PARTS = [b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"3;a=b\r\n", b"a", b"\r\n", b"\n", b"\r", b";", b"="]
PARTS += [b"0", b"00", b"2\r\nab", b'1;a="b;c"\r\nx\r\n', b"A\r\n0123456789\r\n", b"GET / HTTP/1.1\r\n\r\n", b"-", b"g"]


def _read(receiver: ChunkedReceiver, pieces: list[bytes]) -> tuple[bool, bool, bytes, int]:
    """Whether the body was refused and whether it is whole, its payload, and how many bytes came after it."""
    left = 0
    for piece in pieces:
        rest = piece
        while rest and receiver.error is None and not receiver.completed:
            rest = rest[receiver.received(rest) :]
        left += len(rest)
    refused = receiver.error is not None
    return refused, receiver.completed and not refused, receiver.getfile().read(), 0 if refused else left


@given(st.lists(st.sampled_from(PARTS), max_size=8), st.lists(st.integers(0, 12), max_size=8))
def test_chunks_are_read_as_waitress_reads_them(parts: list[bytes], cuts: list[int]) -> None:
    text, pieces = b"".join(parts), []
    for cut in cuts:
        pieces.append(text[:cut])
        text = text[cut:]
    pieces.append(text)
    ours = _read(ChunkedBody(OverflowableBuffer(1000), 1 << 60), pieces)
    theirs = _read(ChunkedReceiver(OverflowableBuffer(1000)), pieces)
    assert ours[:2] == theirs[:2]
    assert ours[0] or ours == theirs


def _chunk(extension: int = 0) -> bytes:
    return b"1" + (b";" + b"a" * (extension - 1) if extension else b"") + b"\r\nx\r\n"


HALF = MOST_EXTENSION_BYTES // 2
CASES: dict[str, tuple[bytes, type | None]] = {
    "extensions that fit": (_chunk(HALF) * 2 + b"0\r\n\r\n", None),
    "extensions": (_chunk(HALF) * 2 + _chunk(2), BadRequest),
    "one extension": (b"1;" + b"a" * 2 * MOST_EXTENSION_BYTES, BadRequest),
    "empty lines": (b"\r\n" * MOST_EXTENSION_BYTES, BadRequest),
    "digits": (b"0" * 2 * MOST_EXTENSION_BYTES, BadRequest),
    "a trailer that fits": (b"0\r\nX:" + b"a" * (MOST_TRAILER_BYTES - 6) + b"\r\n\r\n", None),
    "trailer": (b"0\r\n" + b"X: y\r\n" * MOST_TRAILER_BYTES, RequestHeaderFieldsTooLarge),
    "a trailer that ends": (b"0\r\nX:" + b"a" * 2 * MOST_TRAILER_BYTES + b"\r\n\r\n", RequestHeaderFieldsTooLarge),
    "payload that fits": (_chunk() * 1000 + b"0\r\n\r\n", None),
    "payload": (_chunk() * 1001, RequestEntityTooLarge),
    "payload that is announced": (b"fffffffffffffffff\r\n", RequestEntityTooLarge),
}


@pytest.mark.parametrize("size", [1 << 20, 100])
@pytest.mark.parametrize("name", CASES)
def test_what_a_client_may_add_to_its_payload_is_bounded(name: str, size: int) -> None:
    text, error = CASES[name]
    body = ChunkedBody(OverflowableBuffer(1 << 20), 1000)
    for at in range(0, len(text), size):
        assert not body.completed, "a trailer ends with the data"
        body.received(text[at : at + size])
        if body.error is not None:
            break
    assert type(body.error) is (error or type(None))
    assert body.completed == (error is None)
