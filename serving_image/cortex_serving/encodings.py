"""Compressed request bodies (``Content-Encoding``): unpacked within the same limit as plain ones."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import falcon

SUPPORTED = "gzip, zstd"
_ZSTD_PIECE = 4096  # bytes; what one piece becomes is not limited by the decompressor, so pieces are small


def decode_body(environ: dict[str, Any], limit: int) -> None:
    """Replace a compressed body in the WSGI environment by the plain one; plain bodies stay as they are.

    Args:
        environ: The request.
        limit: Most bytes that the plain body may have.

    Raises:
        falcon.HTTPError: The encoding is unknown (415), the body is damaged (400) or too large (413).
    """
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        return
    decode = _DECODERS.get(encoding)
    if decode is None:
        raise _unsupported(f"bodies encoded as {encoding} are not supported; supported are {SUPPORTED}")
    body = decode(environ["wsgi.input"].read(), limit)
    if len(body) > limit:
        raise falcon.HTTPContentTooLarge(description=f"the decompressed body is larger than {limit} bytes")
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    del environ["HTTP_CONTENT_ENCODING"]


def _unsupported(description: str) -> falcon.HTTPUnsupportedMediaType:
    return falcon.HTTPUnsupportedMediaType(description=description, headers={"Accept-Encoding": SUPPORTED})


def _gunzip(data: bytes, limit: int) -> bytes:
    plain = bytearray()
    try:
        while data:  # a gzip body may have several members, one after the other
            member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            plain += member.decompress(data, limit + 1 - len(plain))
            if len(plain) > limit:
                break
            if not member.eof:
                raise falcon.HTTPBadRequest(description="the gzip body ends too early")
            data = member.unused_data
    except zlib.error as error:
        raise falcon.HTTPBadRequest(description=f"the body is not gzip: {error}") from error
    return bytes(plain)


def _unzstd(data: bytes, limit: int) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise _unsupported("zstd bodies need the zstandard package: add it to requirements.txt") from error
    plain = bytearray()
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    try:
        for start in range(0, len(data), _ZSTD_PIECE):
            piece = data[start : start + _ZSTD_PIECE]
            while piece and len(plain) <= limit:
                if frame.eof:  # a zstd body may have several frames, one after the other
                    frame = decompressor.decompressobj()
                plain += frame.decompress(piece)
                piece = frame.unused_data
    except zstandard.ZstdError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not zstd: {error}") from error
    if data and not frame.eof and len(plain) <= limit:
        raise falcon.HTTPBadRequest(description="the zstd body ends too early")
    return bytes(plain)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gunzip, "x-gzip": _gunzip, "zstd": _unzstd}
