"""Header lines in linear time. waitress's expression is quadratic in the blanks around a value (waitress 3.0.2).

``FIELD`` accepts exactly what waitress's expression accepts, and finds the same names and values
(``tests/server/test_attacks.py`` compares them).
"""

from __future__ import annotations

import re

from waitress.parser import ParsingError, get_header_lines

# A lookahead is never entered again: the blanks that it found are not given back one by one.
FIELD = re.compile(
    rb"^(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+):(?=([ \t]*))\2"
    rb"(?P<value>(?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)(?=([ \t]*))\4$"
)
_BLANKS = re.compile(rb"[ \t]{16}")


def without_long_blanks(block: bytes) -> bytes:
    """A header block that waitress reads in linear time, and that means the same.

    Args:
        block: The first line and the header lines.

    Raises:
        ParsingError: A line is malformed (as waitress would say).
    """
    first, end, lines = block.partition(b"\r\n")
    if not end or not _BLANKS.search(lines) or b"\r" in first.rstrip() or b"\n" in first.rstrip():
        return block
    read = []
    for line in get_header_lines(lines):
        match = FIELD.match(line)
        if match is None:
            raise ParsingError("Invalid header")
        read.append(b"%b: %b\r\n" % match.group("name", "value"))
    return b"%b\r\n%b" % (first, b"".join(read))
