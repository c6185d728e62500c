"""Which log records are wanted.

CloudWatch leaves out what one of its filter patterns can say (``pattern``). ``admits`` decides, so that any cloud shows
the same. A pattern may let more through than is wanted, never less. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from cortex_cdk.logs.records import LogRecord

LEVELS = ("debug", "info", "warning", "error", "critical")
"""What can be asked for, from the least severe."""
_SEVERITIES = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "FATAL": 50, "CRITICAL": 50}
"""The numbers of the module ``logging``, and the names that other programs use."""
_LEVEL_OF_OTHER_LINES = _SEVERITIES["INFO"]
_OWN_LEVEL = re.compile(r"Level (\d+)")
"""What ``logging`` calls a level without a name."""
_IN_A_PHRASE = re.compile(r"[A-Za-z0-9_=:;.,/+@-]+")
"""Ids that are the same text inside a JSON document, and have no meaning in a filter pattern."""
_BEFORE, _AFTER = r"(?<![A-Za-z0-9_=-])", r"(?![A-Za-z0-9_=-])"


@dataclass(frozen=True)
class LogFilter:
    """Records that fit everything that is asked for.

    Attributes:
        level: The least severe level, one of ``LEVELS``. Levels of a program's own without a number are always wanted.
        request_id: The id of a request. Records that name it in their text belong to it, too, as a failed batch does.
        replicas: Beginnings of the ids of replicas, any of which will do.
        revisions: Beginnings of revisions, likewise.
        text: Must be found in the message or the traceback.
    """

    level: str | None = None
    request_id: str | None = None
    replicas: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    text: re.Pattern[str] | None = None

    def admits(self, record: LogRecord) -> bool:
        """Return whether a record is wanted."""
        return (
            self.admits_replica(record.revision, record.replica)
            and self._admits_level(record.level)
            and (self._request is None or self._belongs(record, self._request))
            and (self.text is None or self.text.search(_text(record)) is not None)
        )

    def admits_replica(self, revision: str, replica: str) -> bool:
        """Return whether the records of a replica may be wanted."""
        return (not self.replicas or replica.startswith(self.replicas)) and (
            not self.revisions or revision.startswith(self.revisions)
        )

    @cached_property
    def pattern(self) -> str | None:
        """The filter pattern of CloudWatch that leaves out the most, if any can; it may let more through.

        A request is rarer than a level, and the two forms cannot be in one pattern.
        """
        if self.request_id and _IN_A_PHRASE.fullmatch(self.request_id):
            return f'"{self.request_id}"'
        if self.level is None or self._least <= _LEVEL_OF_OTHER_LINES:
            return None
        below = [f'($.level != "{name}")' for name, severity in _SEVERITIES.items() if severity < self._least]
        return f"{{ {' && '.join(below)} }}"

    @property
    def _least(self) -> int:
        return _SEVERITIES[self.level.upper()] if self.level else 0

    def _admits_level(self, level: str) -> bool:
        own = _OWN_LEVEL.fullmatch(level)
        severity = int(own[1]) if own else _SEVERITIES.get(level.upper())
        return severity is None or severity >= self._least

    @cached_property
    def _request(self) -> re.Pattern[str] | None:
        return re.compile(f"{_BEFORE}{re.escape(self.request_id)}{_AFTER}") if self.request_id else None

    def _belongs(self, record: LogRecord, request: re.Pattern[str]) -> bool:
        return record.fields.get("request_id") == self.request_id or request.search(_text(record)) is not None


EVERYTHING = LogFilter()


def _text(record: LogRecord) -> str:
    return "\n".join((record.message, *record.traceback))
