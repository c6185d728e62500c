"""Ordinary responses: headers from templates, sent together with the body, without waitress's bookkeeping for the rest.

For a response with the same header names as an earlier one, the lines are capitalised and sorted already, and only
values are filled in. Names and values are checked as waitress checks them (types, line breaks, hop-by-hop names): names
when a template is made, values always.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
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
        text: The lines with ``%s`` for the status and each value, in sorted order.
        pick: From the given values, with the date and the status as the last, the one for each ``%s``.
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
    """The application for waitress's own code, which may have to send a response, or an error, that exists already."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        made = environ.pop(_REPLAY, None)
        if made is None:
            return application(environ, start_response)
        if isinstance(made, Exception):
            raise made
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
    shown.append(("Date", -2))
    shown.sort(key=lambda entry: entry[0])
    text = "HTTP/1.1 %s\r\n" + "".join(f"{name}: %s\r\n" for name, _ in shown) + "\r\n"
    return Template(text, itemgetter(-1, *(position for _, position in shown)), length_at)


def _template(names: tuple[str, ...]) -> Template | None:
    try:
        return _templates[names]
    except KeyError:
        made = make_template(names)
        if len(_templates) < _MAX_TEMPLATES:
            _templates[names] = made
        return made


def _end_unsent(environ: Any) -> None:
    """End a response that the application has begun and nobody took: its client had gone meanwhile.

    Args:
        environ: The environment that was kept for it; None if that was used.
    """
    replay = None if environ is None else environ.pop(_REPLAY, None)
    if isinstance(replay, tuple) and hasattr(replay[2], "close"):
        with contextlib.suppress(OSError):
            next(replay[2], None)  # a generator that has not begun would be closed without its cleanup
            replay[2].close()


class TemplateReply(HTTPChannel):  # type: ignore[misc]
    """Channels that send a whole response at once where it is an ordinary one, waitress's own way otherwise.

    Ordinary: HTTP/1.1 on a connection that stays open, one ``start_response``, the body as a list of at most one piece
    of exactly the length that the header says, a status that has a body.
    """

    current_outbuf_count: int

    def service(self) -> None:
        """Answer a request."""
        request = self.requests[0]
        if (
            request.error
            or request.version != "1.1"
            or request.connection_close
            or request.command == "HEAD"
            or self.server.draining
            or not self.connected
        ):
            super().service()
            return
        if not self._answered(request):
            super().service()
            _end_unsent(self.kept_environment(request))
            return
        if len(self.requests) > 1:
            self._flush_outbufs_below_high_watermark()
        if self.current_outbuf_count > 0:  # the next response begins a buffer of its own, as in waitress
            self.current_outbuf_count = self.adj.outbuf_high_watermark
        request.close()
        with self.requests_lock:
            self.requests.pop(0)
            if self.connected:
                self._go_on()
        self.server.pull_trigger()
        self.last_activity = time.time()

    def _go_on(self) -> None:
        """What waitress does between two requests of a connection."""
        if self.requests:
            self.server.add_task(self)
            return
        waiting = self.request
        if waiting is not None and waiting.expect_continue and waiting.headers_finished and not self.sent_continue:
            self.send_continue()

    def _answered(self, request: Any) -> bool:
        """Run the application and send its response; False if waitress has to send it, without running it again."""
        environ = self.environment_of(request)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if exc_info is None and not started:
                started.append((status, headers))
                return None
            raise AssertionError("start_response was called twice")

        try:
            pieces = self.server.plain_application(environ, start_response)
            status, headers = started[0]
            if type(pieces) is list and len(pieces) <= 1 and self._sent(status, headers, pieces[0] if pieces else b""):
                return True
            environ[_REPLAY] = (status, headers, pieces)
        except Exception as error:
            environ[_REPLAY] = error
        self.keep_environment(request, environ)
        return False

    def _sent(self, status: str, headers: list[tuple[str, str]], body: bytes) -> bool:
        """Send the response if it is ordinary; False without any effect if it is not."""
        if not headers:
            return False
        names, values = zip(*headers, strict=True)
        template = _template(names)
        if template is None or status[:1] == "1" or status[:3] in ("204", "304"):
            return False
        joined = "".join(values)  # raises for what is not text, like waitress does
        if "\r" in joined or "\n" in joined or "\r" in status or "\n" in status:
            return False
        if values[template.length_at] != str(len(body)):
            return False
        head = (template.text % template.pick((*values, _Date.now(time.time()), status))).encode("latin-1")
        if len(body) > _JOIN_BYTES:
            self.write_both(head, body)
        elif len(self.requests) > 1 or not self.server.runner.hold(self._send_later, head + body):
            # What another request of this connection is answered must not overtake this.
            self.write_soon(head + body)
        return True

    def _send_later(self, data: bytes) -> None:
        with contextlib.suppress(ClientDisconnected):
            self.write_soon(data)
