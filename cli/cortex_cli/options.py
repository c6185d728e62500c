"""Options and arguments that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import click

from cortex_cli import shell_completion
from cortex_cli.invocation import Invocation

EMPTY = "it is empty: is a variable of your script not set?"
LONGEST_MESSAGE = 500
"""Characters of a message for the history."""
Command = TypeVar("Command", bound=Callable[..., Any])


def _remember_environment(context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    invocation = context.find_object(Invocation)
    if invocation and value:
        invocation.environment = value
    return value


def _remember_output(context: click.Context, _parameter: click.Parameter, value: str) -> str:
    invocation = context.find_object(Invocation)
    if invocation:
        invocation.wants_json = value == "json"
    return value


class _Text(click.ParamType[str]):
    """A text that is not empty: nothing would be the beginning of everything, the name of all, or the default."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text without blanks around it.

        Raises:
            click.BadParameter: It is empty.
        """
        return value.strip() or self.fail(EMPTY, param, ctx)


TEXT = _Text()


class PathOf(click.Path):
    """A file or a folder. An empty text, which would stand for the current folder, is none."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises:
            click.BadParameter: It is empty.
        """
        if value == "":
            self.fail(EMPTY, param, ctx)
        return super().convert(value, param, ctx)


class _Duration(click.ParamType[float]):
    """A duration such as ``90s`` or ``1h30m``, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the text."""
        from cortex_cdk.config.quantities import parse_duration

        seconds = 0.0
        with suppress(ValueError):
            seconds = parse_duration(value)
        if seconds <= 0:
            self.fail(f"{value!r} is no duration such as 30s, 5m or 1h30m", param, ctx)
        return seconds


DURATION = _Duration()


class _Span(_Duration):
    """A duration that may also have days: ``7d``, ``1d12h``, ``3h``."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the text."""
        days = re.fullmatch(r"(\d{1,4})d(.*)", value, re.ASCII) if isinstance(value, str) else None
        if not days or (int(days[1]) == 0 and not days[2]):
            return super().convert(value, param, ctx)
        rest = super().convert(days[2], param, ctx) if days[2] else 0.0
        return int(days[1]) * 86_400 + rest


SPAN = _Span()


class _Moment(click.ParamType[datetime]):
    """A moment, such as ``15m`` (ago), ``14:05`` or ``2026-11-30T14:05Z``."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment.

        Raises:
            click.BadParameter: The value is none.
        """
        from cortex_cdk.logs.moments import FORMS, parse_moment

        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(value, datetime.now().astimezone())
        except (ValueError, OverflowError) as error:
            reason = str(error) if "too long" in str(error) else f"it is no time such as {FORMS}"
            self.fail(f"{value!r}: {reason}", param, ctx)


MOMENT = _Moment()


class _Since(_Moment):
    """A moment; one that is so long ago is a length of time, as it goes on while something is watched."""

    def convert(
        self, value: str | datetime | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the moment, or how long ago it is.

        Raises:
            click.BadParameter: The value is none.
        """
        from cortex_cdk.logs.moments import parse_ago

        if isinstance(value, timedelta):
            return value
        moment = super().convert(value, param, ctx)
        ago = parse_ago(value) if isinstance(value, str) else None
        return moment if ago is None else ago


SINCE = _Since()


def check_period(since: datetime | timedelta | None, until: datetime | None) -> None:
    """Refuse a time that has not come yet, or is over before it begins.

    Raises:
        click.UsageError: It is one of these.
    """
    now = datetime.now(timezone.utc)
    begin = now - since if isinstance(since, timedelta) else since
    if begin and begin > now:
        raise click.UsageError(f"--since is in the future: {begin.astimezone():%Y-%m-%d %H:%M:%S}")
    if begin and until and until <= begin:
        first, last = (f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" for moment in (begin, until))
        raise click.UsageError(f"--until ({last}) is not after --since ({first})")


def environment(command: Command) -> Command:
    """Add ``--env NAME``, which the command gets as ``env``."""
    return click.option(
        "-e",
        "--env",
        type=TEXT,
        metavar="ENV",
        callback=_remember_environment,
        shell_complete=shell_completion.environments,
        # Read before NAME, which is completed with names from this environment.
        is_eager=True,
        help="Environment to use (default: see `cortex env list`).",
    )(command)


def name(*, required: bool = True) -> Callable[[Command], Command]:
    """Add ``NAME``, of an API or traffic splitter that is deployed.

    Args:
        required: Whether the name must be given.
    """
    return click.argument("name", required=required, type=TEXT, shell_complete=shell_completion.deployed)


def output(command: Command) -> Command:
    """Add ``-o pretty|json``, which the command gets as ``output``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["pretty", "json"]),
        default="pretty",
        callback=_remember_output,
        help="What to write to stdout.",
    )(command)


def yes(command: Command) -> Command:
    """Add ``--yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Answer every question with yes.")(command)


def _message(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    text = " ".join(value.split()) if value else None
    if text and len(text) > LONGEST_MESSAGE:
        raise click.BadParameter(f"it has {len(text)} characters; at most {LONGEST_MESSAGE} are kept")
    return text


def message(command: Command) -> Command:
    """Add ``--message TEXT``, which the command gets as ``message``, on one line."""
    return click.option(
        "-m", "--message", metavar="TEXT", callback=_message, help="Why, for the history (cortex history NAME)."
    )(command)


def plan(command: Command) -> Command:
    """Add ``--plan``, which the command gets as ``plan``."""
    return click.option(
        "--plan",
        is_flag=True,
        help="Show what would change, and change nothing; exit code 2 if something would.",
    )(command)
