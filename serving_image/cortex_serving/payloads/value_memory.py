"""The memory that a body's values may take as Python's objects: estimated from the text, before anything is built.

A few bytes of text can become a hundred: ``[],`` is a list, one emoji makes each character of its text four bytes.
"""

from __future__ import annotations

import re
from typing import Any

import falcon
import orjson

_SMALL = 1024 * 1024  # bytes of text that can do no harm, whatever they are
_COSTS = {b"[": 80, b"{": 200, b",": 40, b'"': 28}  # bytes of Python's objects for each of these characters of JSON
_PROBLEM = 260  # bytes that pydantic keeps for a value that does not fit
_WIDE = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")  # what Python keeps with four bytes a character, in UTF-8 and JSON


class ValueMemory:
    """What is left of the memory for the values of one body.

    Args:
        most: Bytes that they may take together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def parse_json(self, text: bytes, *, checked: bool) -> Any:
        """Parse JSON text.

        Args:
            text: The text.
            checked: Whether each value may be reported as wrong.

        Raises:
            orjson.JSONDecodeError: The text is not JSON.
            falcon.HTTPContentTooLarge: Its values would take too much memory.
        """
        if len(text) > _SMALL:
            costs = sum(cost * text.count(character) for character, cost in _COSTS.items())
            self._take(_width(text) * len(text) + costs + (_PROBLEM * text.count(b",") if checked else 0), "JSON")
        return orjson.loads(text)

    def take_text(self, text: bytes) -> None:
        """Take the memory of text that may be percent-encoded.

        Args:
            text: The text, as it came.

        Raises:
            falcon.HTTPContentTooLarge: It would take too much memory.
        """
        if len(text) > _SMALL:
            plain = text.isascii() and b"%" not in text
            self._take(len(text) if plain else 4 * len(text), "text")

    def _take(self, size: int, kind: str) -> None:
        self._left -= size
        if self._left < 0:
            raise falcon.HTTPContentTooLarge(
                description=f"the values of the body's {kind} would take more than {self._most} bytes"
            )


def _width(text: bytes) -> int:
    """Most bytes that Python keeps for a character of JSON text."""
    if text.isascii() and b"\\u" not in text:
        return 1
    return 4 if _WIDE.search(text) else 2
