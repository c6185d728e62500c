"""Response headers from templates, sent together with the body.

For a response with the same header names as an earlier one, the lines are capitalised and sorted already, and only
values are filled in. Names and values are checked as waitress checks them (types, line breaks, hop-by-hop names): names
when a template is made, values always.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from waitress.task import hop_by_hop
from waitress.utilities import build_http_date

_MAX_TEMPLATES = 512
_REPLAY = "cortex.replay"
_SPECIAL = frozenset({"date", "server", "connection"})
_JOIN_BYTES = 65536  # above this, header and body are handed to the kernel as two pieces instead of being joined


@dataclass(frozen=True)
class Template:
    """Header lines of a response with certain header names.

    Attributes:
        text: The lines with ``%s`` for each value, in sorted order.
        pick: From the given values, with the date as the last, the one for each ``%s``.
        length_at: Which of the given values is the content length.
    """

    text: str
    pick: Callable[[tuple[str, ...]], Any]
    length_at: int


_templates: dict[tuple[str, ...], Template | None] = {}


class _Date:
    """The Date header's value, made once a second."""

    second = -1
    text = ""

    @classmethod
    def now(cls, now: float) -> str:
        second = int(now)
        if cls.second != second:
            cls.text, cls.second = build_http_date(second), second
        return cls.text


def replaying(application: Any) -> Any:
    """The application for waitress's own code, which may have to send a response that exists already."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        made = environ.pop(_REPLAY, None)
        if made is None:
            return application(environ, start_response)
        status, headers, pieces = made
        start_response(status, headers)
        return pieces

    return answer


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
    shown.append(("Date", -1))
    shown.sort(key=lambda entry: entry[0])
    text = "".join(f"{name}: %s\r\n" for name, _ in shown)
    return Template(text, itemgetter(*(position for _, position in shown)), length_at)


def _template(names: tuple[str, ...]) -> Template | None:
    try:
        return _templates[names]
    except KeyError:
        made = make_template(names)
        if len(_templates) < _MAX_TEMPLATES:
            _templates[names] = made
        return made


class TemplateReply:
    """Mixin for tasks: a whole response at once where it is an ordinary one, waitress's own way otherwise.

    Ordinary: HTTP/1.1 on a connection that stays open, one ``start_response``, the body as a list of at most one piece
    of exactly the length that the header says, a status that has a body.
    """

    channel: Any
    request: Any
    version: str
    close_on_finish: bool
    response_headers: list[tuple[str, str]]
    start_time: float

    def execute(self) -> None:
        """Run the application and write its response."""
        request = self.request
        if self.version != "1.1" or request.connection_close or self.close_on_finish or request.command == "HEAD":
            super().execute()  # type: ignore[misc]
            return
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if exc_info is None and not started:
                started.append((status, headers))
                return None
            raise AssertionError("start_response was called twice")

        environ = self.get_environment()  # type: ignore[attr-defined]
        pieces = self.channel.server.plain_application(environ, start_response)
        if not (type(pieces) is list and len(pieces) <= 1 and self._sent(*started[0], pieces)):
            environ[_REPLAY] = (*started[0], pieces)
            super().execute()  # type: ignore[misc]

    def _sent(self, status: str, headers: list[tuple[str, str]], pieces: list[bytes]) -> bool:
        """Send the response if it is ordinary; False without any effect if it is not."""
        body = pieces[0] if pieces else b""
        names, values = zip(*headers, strict=True) if headers else ((), ())
        template = _template(names)
        if template is None or status[:1] == "1" or status[:3] in ("204", "304"):
            return False
        joined = status + "".join(values)  # raises for what is not text, like waitress does
        if "\r" in joined or "\n" in joined or values[template.length_at] != str(len(body)):
            return False
        lines = template.text % template.pick((*values, _Date.now(self.start_time)))
        head = f"HTTP/1.1 {status}\r\n{lines}\r\n"
        self.wrote_header = True
        if len(body) > _JOIN_BYTES:
            self.channel.write_both(head.encode("latin-1"), body)
        else:
            self.channel.write_soon(head.encode("latin-1") + body)
        return True
