"""Ids that AWS makes up: what stacks are told about each other, and how a text is told that an id has changed.

Stacks of APIs name the VPC, the listener and the target groups of other stacks by their ids. Resources that are made
again get new ones, so texts that are stored under the old ones must be rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SHORTEST = 12
"""Characters. Ids that are made up are longer; a shorter value ("7", "local") says nothing about who refers to whom."""


class Identifiers:
    """Which ids have changed, and to what."""

    def __init__(self) -> None:
        self._new: dict[str, str] = {}

    def learn(self, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Compare what was called what before with what is called what now.

        Args:
            old: Ids by what they are of.
            new: The same. What is not among them has no new id.
        """
        for name, before in old.items():
            after = new.get(name, before)
            if after != before and len(before) >= SHORTEST:
                self._new[before] = after

    def apply(self, text: str) -> str:
        """A text with the new ids in place of the old ones, wherever they stand as whole words."""
        # The longest first: an ARN has shorter ids in it.
        for old in sorted((old for old in self._new if old in text), key=len, reverse=True):
            new = self._new[old].replace("\\", r"\\")
            text = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", new, text)
        return text


def long_enough(values: Iterable[str]) -> set[str]:
    """Those of the values that may be ids."""
    return {value for value in values if len(value) >= SHORTEST}
