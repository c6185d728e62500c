"""Decompresses request bodies (``Content-Encoding``), within the same limit as plain bodies."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import falcon

SUPPORTED = "gzip, zstd"
_PIECE = 1024  # bytes given to a decompressor at once: small, because the size of its output has no limit
_MOST_RATIO = 100  # times the compressed body; ordinary JSON and arrays stay below 30
_ANY_RATIO_BYTES = 16 * 1024 * 1024  # up to which the ratio does not matter
_MAX_PARTS = 10_000  # of a body; even empty parts cost memory and time
_ZSTD_WINDOW = 8 * 1024 * 1024  # bytes; the most memory that a frame may ask for over HTTP (RFC 9659)


def decode_body(environ: dict[str, Any], limit: int) -> None:
    """Replace a compressed body in the WSGI environment by the decompressed one; plain bodies stay as they are.

    Args:
        environ: The request's WSGI environment.
        limit: Largest size of the decompressed body, in bytes.

    Raises:
        falcon.HTTPError: The encoding is unknown (415), the body is damaged (400) or too large (413).
    """
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        return
    decode = _DECODERS.get(encoding)
    if decode is None:
        raise _unsupported(f"bodies encoded as {encoding} are not supported; supported are {SUPPORTED}")
    packed = environ["wsgi.input"].read()
    most = min(limit, max(_ANY_RATIO_BYTES, _MOST_RATIO * len(packed)))
    body = decode(packed, most)
    if len(body) > most:
        why = "" if most == limit else f", {_MOST_RATIO} times the compressed one"
        raise falcon.HTTPContentTooLarge(description=f"the decompressed body is larger than {most} bytes{why}")
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    del environ["HTTP_CONTENT_ENCODING"]


def _unsupported(description: str) -> falcon.HTTPUnsupportedMediaType:
    return falcon.HTTPUnsupportedMediaType(description=description, headers={"Accept-Encoding": SUPPORTED})


def _gunzip(data: bytes, limit: int) -> bytes:
    try:
        return _unpack(data, limit, "gzip", lambda: zlib.decompressobj(16 + zlib.MAX_WBITS))
    except zlib.error as error:
        raise falcon.HTTPBadRequest(description=f"the body is not gzip: {error}") from error


def _unzstd(data: bytes, limit: int) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise _unsupported("zstd bodies need the zstandard package: add it to requirements.txt") from error
    try:
        return _unpack(data, limit, "zstd", zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj)
    except zstandard.ZstdError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not zstd: {error}") from error


def _unpack(data: bytes, limit: int, name: str, new: Callable[[], Any]) -> bytes:
    """Decompress all members of gzip or frames of zstd; stop after more than ``limit`` bytes."""
    plain = bytearray()
    parts, part = 0, None
    for start in range(0, len(data), _PIECE):
        piece = data[start : start + _PIECE]
        while piece:
            if part is None or part.eof:
                parts += 1
                if parts > _MAX_PARTS:
                    raise falcon.HTTPBadRequest(description=f"the body has more than {_MAX_PARTS} parts of {name}")
                part = new()
            plain += part.decompress(piece)
            if len(plain) > limit:
                return bytes(plain)
            piece = part.unused_data
    if part is not None and not part.eof:
        raise falcon.HTTPBadRequest(description=f"the {name} body ends too early")
    return bytes(plain)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gunzip, "x-gzip": _gunzip, "zstd": _unzstd}
