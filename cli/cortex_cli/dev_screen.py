"""What ``cortex dev`` shows on a terminal: one screen with the state, the answer to the sample, errors and logs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from cortex_cdk.dev.happenings import Answered, Deploying, Failed, Happening, Live, Logged, Moved, Step
from cortex_cdk.errors import CortexError
from cortex_cdk.logs import LogRecord
from cortex_cdk.replicas.revisions import Rollout
from cortex_cli.control_characters import visible
from cortex_cli.rollout_table import rollout_table
from cortex_cli.suggestions import for_environment

STEPS_SHOWN = 3
ANSWER_LINES = 8
ERROR_LINES = 8
LOG_LINES = 500
LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


@dataclass
class _Api:
    """What is known of one API."""

    live: Live | None = None
    rollout: Rollout | None = None
    answer: Answered | None = None


class _LogLine(NamedTuple):
    """A line of a record."""

    api: str
    revision: str
    text: str
    style: str


class DevScreen:
    """Collects what happens, and draws it.

    Args:
        title: The first line, such as the project's folder.
        clock: Tells seconds.
    """

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._clock = clock
        self._apis: dict[str, _Api] = {}
        self._files: tuple[str, ...] = ()
        self._since: float | None = None
        self._steps: deque[str] = deque(maxlen=STEPS_SHOWN)
        self._error: Failed | None = None
        self._log: deque[_LogLine] = deque(maxlen=LOG_LINES)

    def __call__(self, happening: Happening) -> None:
        """Take in what has happened."""
        if isinstance(happening, Deploying):
            self._files, self._since, self._error = happening.files, self._clock(), None
            self._steps.clear()
            self._forget_logs()
            for api in self._apis.values():
                api.rollout = None
        elif isinstance(happening, Step):
            self._steps.append(f"{happening.subject}: {happening.text}")
        elif isinstance(happening, Moved):
            self._api(happening.api).rollout = happening.rollout
        elif isinstance(happening, Live):
            api = self._api(happening.api)
            api.live, api.rollout = happening, None
            self._forget_logs()
            if not any(other.rollout for other in self._apis.values()):
                self._since = None
        elif isinstance(happening, Answered):
            self._api(happening.api).answer = happening
        elif isinstance(happening, Failed):
            self._error, self._since = happening, None
        elif not self._is_stale(happening):
            record = happening.record
            lines = (_LogLine(happening.api, record.revision, *line) for line in log_lines(record))
            self._log.extend(lines)

    def _forget_logs(self) -> None:
        """Drop what revisions logged that do not serve: tracebacks of earlier saves would look like those of this."""
        serving = {(name, api.live.revision) for name, api in self._apis.items() if api.live}
        self._log = deque((line for line in self._log if (line.api, line.revision) in serving), maxlen=LOG_LINES)

    def _is_stale(self, logged: Logged) -> bool:
        """Whether the last words of an earlier save come late."""
        live = self._api(logged.api).live
        is_quiet = self._since is None and self._error is None
        return is_quiet and live is not None and logged.record.revision != live.revision

    def _api(self, name: str) -> _Api:
        return self._apis.setdefault(name, _Api())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many lines as the terminal has: logs get what the rest leaves."""
        width, height = options.max_width, options.height or console.height
        top: list[RenderableType] = [_line(self._title, "bold"), *self._state()]
        if self._since is not None:
            rollouts = {name: api.rollout for name, api in self._apis.items() if api.rollout}
            top += [rollout_table(rollouts, width)] if rollouts else []
            top += [_line(f"  {step}", "dim") for step in self._steps]
        if self._error:
            top += [_line(""), *error_lines(self._error.error)]
        for name, api in list(self._apis.items()):
            if api.answer:
                top += [_line(""), *_answer(name, api.answer)]
        top += [_line(""), _line("logs", "bold")]
        lines = console.render_lines(Group(*top), options.update(height=None), pad=False)
        room = max(0, height - len(lines))
        shown = list(self._log)[-room:] if room else []
        yield Group(*top, *(_line(line.text, line.style) for line in shown))

    def _state(self) -> Iterator[Text]:
        if self._since is not None:
            files = f": {', '.join(self._files)}" if self._files else ""
            yield _line(f"deploying ({self._clock() - self._since:.0f} s){files}", "yellow")
        for name, api in list(self._apis.items()):
            if api.live:
                state = f"live with an earlier save  revision {api.live.revision}" if self._error else _live(api.live)
                yield _line(f"{name}  {state}", "yellow" if self._error else "green")
                yield _line(f"  {api.live.endpoint}", "dim")


def _live(live: Live) -> str:
    took = "" if live.seconds is None else f"  {live.seconds:.1f} s after the save"
    return f"live  revision {live.revision}{took}"


def error_lines(error: CortexError) -> list[Text]:
    """Write an error: what happened, the end of its details, what to do next."""
    details = [_line(f"  {line}", "red") for text in error.details for line in text.splitlines()]
    hint = [Text(visible(f"hint: {for_environment(error.hint)}"), "cyan")] if error.hint else []
    return [Text(visible(f"error: {error.message}"), "bold red"), *details[-ERROR_LINES:], *hint]


def _answer(name: str, answer: Answered) -> list[Text]:
    if answer.error:
        return [_line(f"the sample to {name}:", "bold"), *error_lines(answer.error)]
    lines = answer.text.splitlines()
    more = [_line(f"  ... {len(lines) - ANSWER_LINES} more lines", "dim")] if len(lines) > ANSWER_LINES else []
    return [_line(f"{name} answers the sample:", "bold"), *(_line(f"  {each}") for each in lines[:ANSWER_LINES]), *more]


def log_lines(record: LogRecord) -> Iterator[tuple[str, str]]:
    """Yield a record as lines with their style: the time of day, the level and the message, its rest below."""
    first, *rest = record.message.splitlines() or [""]
    style = LEVEL_STYLES.get(record.level, "")
    yield f"{record.time.astimezone():%H:%M:%S} {record.level} {first}", style
    for line in (*rest, *record.traceback):
        yield f"    {line}", style


def _line(text: str, style: str = "") -> Text:
    first = visible(text).replace("\n", " ").expandtabs(4)
    return Text(first, style, no_wrap=True, overflow="ellipsis")
