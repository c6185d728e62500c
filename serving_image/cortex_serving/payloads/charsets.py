"""Text in the charset that its content type names, without what a client could do harm with.

Python's own ``codecs.lookup`` remembers each unknown name for ever, and some of its codecs take quadratic time
(``punycode``, ``idna``). ``falcon.parse_header`` takes quadratic time for a quoted value with many semicolons.
"""

from __future__ import annotations

import re
from encodings import normalize_encoding
from encodings.aliases import aliases

_MOST_PARAMETERS = 100  # of a header: what reads them takes quadratic time
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]{1,40})', re.IGNORECASE)
_NO_TEXT = frozenset({"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"})
_KNOWN = (frozenset(aliases) | frozenset(aliases.values()) | {"utf_8_sig"}) - _NO_TEXT


def decode(content: bytes, content_type: str) -> str:
    """Decode text.

    Args:
        content: The text.
        content_type: A content type, maybe with a charset; UTF-8 without one.

    Raises:
        LookupError: The charset is unknown.
        UnicodeDecodeError: The content is not text in this charset.
    """
    found = _CHARSET.search(content_type)
    if found is None:
        return content.decode()
    charset = normalize_encoding(found.group(1)).lower()
    if charset not in _KNOWN:
        raise LookupError(f"unknown encoding: {found.group(1)}")
    return content.decode(charset)


def has_many_parameters(header: bytes) -> bool:
    """Whether a header, or several, have more parameters than anybody needs."""
    return header.count(b";") > _MOST_PARAMETERS
