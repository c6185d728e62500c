"""Server-sent events, read from their lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One server-sent event.

    Attributes:
        data: Its text.
        event: Its type.
        id: Its id, or that of the last event that had one.
    """

    data: str
    event: str = "message"
    id: str = ""

    def value(self) -> Any:
        """Its data as a Python value.

        Raises:
            ValueError: The data is not JSON.
        """
        return json.loads(self.data)


class EventReader:
    """Puts the lines of an event stream together.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """

    def __init__(self) -> None:
        self._data: list[str] = []
        self._event = ""
        self._id = ""

    def take(self, line: str) -> Event | None:
        """Take the next line, without its end; return the event that it completes."""
        if not line:
            data, event = self._data, self._event
            self._data, self._event = [], ""
            return Event("\n".join(data), event or "message", self._id) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None
