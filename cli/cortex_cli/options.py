"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cortex_cli import shell_completion as completing

Command = TypeVar("Command", bound=Callable[..., Any])

_chosen: list[str] = []
_formats: list[str] = []
# A command that talks to an environment, with the one name or file that may end it.
_SUGGESTED = re.compile(
    r"\bcortex (?:deploy|get|logs|predict(?: (?!-)[\w-]+)?|refresh|delete|cluster (?:up|info|configure|down))\b"
    r"(?: (?!-)[\w./-]+(?=[,)]|$))?(?! --env)"
)


def chosen_environment() -> str | None:
    """The environment that was named on the command line, or None."""
    return _chosen[-1] if _chosen else None


def wants_json() -> bool:
    """Whether the command line asked for JSON on stdout."""
    return _formats[-1:] == ["json"]


def _remember_format(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    _formats.append(value)
    return value


def for_environment(text: str) -> str:
    """What is suggested to a user, with each command going to the environment that the command line named.

    Args:
        text: Words in which command lines stand at the end, before a comma or in parentheses.
    """
    chosen = chosen_environment()
    return _SUGGESTED.sub(rf"\g<0> --env {chosen}", text) if chosen else text


def _remember(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value:
        _chosen.append(value)
    return value


class ConfigPath(click.Path):
    """A configuration file or its folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty text, which would mean the current folder."""
        if value == "":
            self.fail("it is empty: is a variable of your script not set?", param, ctx)
        return super().convert(value, param, ctx)


def environment(command: Command) -> Command:
    """``--env NAME``."""
    return click.option(
        "-e",
        "--env",
        metavar="ENV",
        callback=_remember,
        shell_complete=completing.environments,
        # Read before NAME, which is completed from what this environment has.
        is_eager=True,
        help="Environment to use (default: see `cortex env list`).",
    )(command)


def name(*, required: bool = True) -> Callable[[Command], Command]:
    """``NAME``, of an API or traffic splitter that is deployed."""
    return click.argument("name", required=required, shell_complete=completing.deployed)


def output(command: Command) -> Command:
    """``-o pretty|json``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["pretty", "json"]),
        default="pretty",
        callback=_remember_format,
        help="What to write to stdout.",
    )(command)


def yes(command: Command) -> Command:
    """``--yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Answer every question with yes.")(command)
