"""Headers of ordinary responses, from templates.

For a response with the same header names as an earlier one, the lines are capitalised and sorted already, and only
values are filled in. Names and values are checked as waitress checks them (types, line breaks, hop-by-hop names): names
when a template is made, values always.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from waitress.task import hop_by_hop
from waitress.utilities import build_http_date

_MAX_TEMPLATES = 512
_MAX_STATUSES = 512
_SPECIAL = frozenset({"date", "server", "connection"})


@dataclass(frozen=True)
class Template:
    """Header lines of a response with certain header names.

    Attributes:
        text: The lines with ``%s`` for the status and each value, in sorted order.
        pick: From the given values, with the date and the status as the last, the one for each ``%s``.
        length_at: Which of the given values is the content length.
    """

    text: str
    pick: Callable[[tuple[str, ...]], Any]
    length_at: int


_templates: dict[tuple[str, ...], Template | None] = {}


_statuses: dict[str, bool] = {}
_date = (-1, "")  # the second, and the Date header's value in it


def ordinary_head(status: str, headers: list[tuple[str, str]], length: int) -> bytes | None:
    """The header block of a response in HTTP/1.1 on a connection that stays open.

    Args:
        status: Code and reason.
        headers: Names and values, as the application gave them.
        length: Bytes of the body.

    Returns:
        None if the response is not ordinary: it has no body or not the length that it says, a header that concerns the
        connection, or one that waitress refuses.
    """
    if not headers or not (_statuses.get(status) or _is_ordinary(status)):
        return None
    names, values = zip(*headers, strict=True)
    template = _templates.get(names) or _template(names)
    if template is None:
        return None
    joined = "".join(values)  # raises for what is not text, like waitress does
    if "\r" in joined or "\n" in joined or values[template.length_at] != str(length):
        return None
    head: str = template.text % template.pick((*values, _now(), status))
    return head.encode("latin-1")


def _now() -> str:
    """The Date header's value, made once a second."""
    global _date  # noqa: PLW0603 - one value, so that no thread sees half of a change
    second, text = _date
    now = int(time.time())
    if now != second:
        text = build_http_date(now)
        _date = now, text
    return text


def _is_ordinary(status: str) -> bool:
    """Whether a response with this status has a body."""
    ordinary = status[:1] != "1" and status[:3] not in ("204", "304") and "\r" not in status and "\n" not in status
    if len(_statuses) < _MAX_STATUSES:
        _statuses[status] = ordinary
    return ordinary


def _template(names: tuple[str, ...]) -> Template | None:
    if names in _templates:
        return None
    made = make_template(names)
    if len(_templates) < _MAX_TEMPLATES:
        _templates[names] = made
    return made


def make_template(names: tuple[str, ...]) -> Template | None:
    """The template for these header names; None if any of them wants waitress's own care."""
    shown = []
    length_at = None
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name.isascii() or "%" in name or "\n" in name or "\r" in name:
            return None
        lowered = name.lower()
        if lowered in hop_by_hop or lowered in _SPECIAL:
            return None
        if lowered == "content-length":
            if length_at is not None:
                return None
            length_at = position
        shown.append(("-".join(part.capitalize() for part in name.split("-")), position))
    if length_at is None:
        return None
    shown.append(("Date", -2))
    shown.sort(key=lambda entry: entry[0])
    text = "HTTP/1.1 %s\r\n" + "".join(f"{name}: %s\r\n" for name, _ in shown) + "\r\n"
    return Template(text, itemgetter(-1, *(position for _, position in shown)), length_at)
