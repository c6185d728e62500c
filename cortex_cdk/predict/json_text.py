"""Indents JSON without reading its numbers, which Python may write otherwise than the API did: ``1e-5``, ``0.10``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT = "  "


def indented(text: str, depth: int = 0) -> str:
    """Indent JSON for people. Characters beyond ASCII are shown.

    Args:
        text: JSON.
        depth: How deep the lines after the first are indented already.

    Raises:
        ValueError: The text is no JSON.
    """
    json.loads(text)
    return "".join(_parts(text, depth))


def _parts(text: str, depth: int) -> Iterator[str]:
    before = ""
    for word in _WORD.findall(text):
        if word in ("}", "]"):
            depth -= 1
        if (before in ("{", "[") and word not in ("}", "]")) or (word in ("}", "]") and before not in ("{", "[")):
            yield f"\n{_INDENT * depth}"
        if word in ("{", "["):
            depth += 1
        if word == ",":
            yield f",\n{_INDENT * depth}"
        elif word == ":":
            yield ": "
        else:
            yield json.dumps(json.loads(word), ensure_ascii=False) if word.startswith('"') else word
        before = word
