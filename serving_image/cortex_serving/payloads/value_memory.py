"""The memory that a body's values may take as Python's objects: estimated from the text, before anything is built.

A few bytes of text can become a hundred: ``[],`` is a list, one emoji makes each character of its text four bytes.
"""

from __future__ import annotations

import re

import falcon

SMALL = 1024 * 1024
"""Bytes of text that can do no harm, whatever they are."""
_COSTS = {b"[": 80, b"{": 200, b",": 40, b'"': 28}  # bytes of Python's objects for each of these characters of JSON
_PROBLEM = 260  # bytes that pydantic keeps for a value that does not fit
_COSTS_CHECKED = {**_COSTS, b",": _COSTS[b","] + _PROBLEM}
_WIDE = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")  # what Python keeps with four bytes a character, in UTF-8 and JSON


class ValueMemory:
    """What is left of the memory for the values of one body.

    Args:
        most: Bytes that they may take together.
    """

    __slots__ = ("_left", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def take_json(self, text: bytes, *, checked: bool) -> None:
        """Take the memory of the values of JSON text.

        Args:
            text: The text.
            checked: Whether each value may be reported as wrong.

        Raises:
            falcon.HTTPContentTooLarge: They would take too much memory.
        """
        if len(text) > SMALL:
            costs = _COSTS_CHECKED if checked else _COSTS
            built = sum(cost * text.count(character) for character, cost in costs.items())
            self._take(_width(text) * len(text) + built, "JSON")

    def take_text(self, text: bytes) -> None:
        """Take the memory of text that may be percent-encoded.

        Args:
            text: The text, as it came.

        Raises:
            falcon.HTTPContentTooLarge: It would take too much memory.
        """
        if len(text) > SMALL:
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
