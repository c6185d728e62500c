"""What the terminal can do, and what the user wants of it: width, colours, and to clear the screen."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

CLEAR = "\033[2J\033[1;1H"
ONLY_LINES = ("CI", "NO_COLOR")
"""Variables with which nothing is drawn that changes in place."""


def terminal_width() -> int | None:
    """Return how many characters a line has: those of ``COLUMNS`` or of the terminal; None in a pipe without either."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def is_plain() -> bool:
    """Return whether no colours are wanted (``NO_COLOR``, https://no-color.org), or the terminal knows no codes."""
    return bool(os.environ.get("NO_COLOR")) or _is_dumb()


def make_console(*, stderr: bool = False) -> Console:
    """Make a console of rich that writes no styles where none are wanted."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, color_system=None if is_plain() else "auto")


def can_draw(console: Console) -> bool:
    """Return whether a console is a terminal that shows what changes in place, and such a thing is wanted there."""
    only_lines = console.is_dumb_terminal or any(os.environ.get(name) for name in ONLY_LINES)
    return console.is_terminal and not only_lines


def clear_screen() -> None:
    """Clear the terminal before the same is shown again. A terminal without codes gets an empty line."""
    if not sys.stdout.isatty() or _is_dumb():
        click.echo()
    else:
        click.echo(CLEAR, nl=False, color=True)


def _is_dumb() -> bool:
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")
