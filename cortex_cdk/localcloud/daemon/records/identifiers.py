"""Follows ids that change: AWS makes up the ids of VPCs, listeners or target groups, and does so anew.

The stack of an API names resources of other stacks by their ids. A resource that is made again has another id, so the
stored texts that name the resource are rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SHORTEST = 12
"""Characters. Ids that AWS makes up are longer. A shorter value ("7", "local") may be the same by chance."""


class Identifiers:
    """The ids that have changed: new ids by old ones."""

    def __init__(self) -> None:
        self._new: dict[str, str] = {}

    def learn(self, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Compare the ids of things before with the ids of the same things now.

        Args:
            old: Ids by things: logical ids of resources, or names of outputs.
            new: Ids by things. A thing that is not among them has kept its id.
        """
        for name, before in old.items():
            after = new.get(name, before)
            if after != before and len(before) >= SHORTEST:
                self._new[before] = after

    def apply(self, text: str) -> str:
        """Return a text with new ids in place of old ones, wherever an old id stands as a whole word."""
        # The longest first, because an ARN has shorter ids in it.
        for old in sorted((old for old in self._new if old in text), key=len, reverse=True):
            new = self._new[old].replace("\\", r"\\")
            text = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", new, text)
        return text


def long_enough(values: Iterable[str]) -> set[str]:
    """Return the values that may be ids that AWS made up."""
    return {value for value in values if len(value) >= SHORTEST}
