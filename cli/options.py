"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli import completing

Command = TypeVar("Command", bound=Callable[..., Any])

_chosen: list[str] = []


def chosen_environment() -> str | None:
    """The environment that was named on the command line, or None."""
    return _chosen[-1] if _chosen else None


def _remember(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value:
        _chosen.append(value)
    return value


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
        help="What to write to stdout.",
    )(command)


def yes(command: Command) -> Command:
    """``--yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Answer every question with yes.")(command)
