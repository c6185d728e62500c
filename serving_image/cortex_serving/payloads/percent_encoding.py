"""Percent-decoding of large text: ``urllib.parse.unquote`` makes objects of 230 bytes for each ``%XX``."""

from __future__ import annotations

import binascii
import re

_SLICE_BYTES = 64 * 1024
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def unquote(text: bytes) -> bytes:
    """Decode text as ``urllib.parse.unquote_to_bytes`` does, in little memory.

    Args:
        text: The text; a ``%`` that begins no escape stays.
    """
    if b"%" not in text:
        return text
    parts, start = [], 0
    while start < len(text):
        end = start + _SLICE_BYTES
        for cut in (1, 2):  # an escape is not divided
            if _ESCAPE.match(text, end - cut):
                end -= cut
                break
        parts.append(_unquote_slice(text[start:end]))
        start = end
    return b"".join(parts)


def _unquote_slice(text: bytes) -> bytes:
    """Decode with the decoder of quoted-printable, which is C, and whose escape is ``=XX``."""
    text = _NO_ESCAPE.sub(b"%25", text.replace(b"=", b"%3D"))
    return binascii.a2b_qp(text.replace(b"%", b"="))
