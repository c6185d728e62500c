"""Writes tables, times and JSON."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from datetime import datetime, timezone
from typing import Any

import click

from cortex_cdk.errors import CortexError
from cortex_cli.control_characters import on_stdout
from cortex_cli.terminal import terminal_width

# Columns that are of interest only if something is wrong.
HIDDEN_WHEN_ZERO = frozenset({"stale", "failed", "4XX", "5XX"})
# Columns are not broken into shorter lines.
NARROWEST = 12
LEAST_BESIDE = 40
"""Characters of a line that are left beside an indentation."""
# More rows are a list to look through, and stay lines, which are longer than the terminal then.
MOST_BLOCKS = 5


def before_the_result(output: str) -> AbstractContextManager[object]:
    """Wrap what is written for people before the result: with ``-o json`` it goes to stderr, as stdout is for scripts.

    Args:
        output: ``pretty`` or ``json``.
    """
    return redirect_stdout(sys.stderr) if output == "json" else nullcontext()


def print_json(value: Any) -> None:
    """Write a JSON document to stdout."""
    click.echo(on_stdout(as_json(value)))


def as_json(value: Any) -> str:
    """Return a JSON document, indented for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def print_table(rows: Sequence[Mapping[str, str]], spare: Sequence[str] = ()) -> None:
    """Write rows of the same columns to stdout, aligned. At least one; see ``table``."""
    click.echo(table(rows, terminal_width(), spare))


def table(rows: Sequence[Mapping[str, str]], width: int | None = None, spare: Sequence[str] = ()) -> str:
    """Return rows of the same columns as aligned lines, without ``HIDDEN_WHEN_ZERO`` columns that are zero in all rows.

    Args:
        rows: Values by column, in at least one row.
        width: Most characters in a line: if there would be more, columns move together, and their names break into
            lines; then ``spare`` columns are left out, and the widest column breaks; if that does not do, each of a few
            rows becomes a block with a line for each column. None keeps a line for a row, for programs.
        spare: Columns that a narrow terminal does without, the least needed first.
    """
    columns = [
        column
        for column in rows[0]
        if column not in HIDDEN_WHEN_ZERO or any(row[column] not in ("0", "-") for row in rows)
    ]
    cells = [[on_stdout(row[column]) for column in columns] for row in rows]
    lines = _aligned([columns, *cells], gap=3)
    if width is None or _fits(lines, width):
        return _with_head(lines, 1)
    for left_out in range(len(spare) + 1):
        shown = [at for at, column in enumerate(columns) if column not in spare[:left_out]]
        narrow = [[row[at] for at in shown] for row in cells]
        heads = _stacked([columns[at] for at in shown], narrow)
        lines = _aligned([*heads, *narrow], gap=2)
        if _fits(lines, width):
            return _with_head(lines, len(heads))
    folded = _fold(heads, narrow, width)
    if folded is None and len(cells) <= MOST_BLOCKS:
        return "\n\n".join(_block(columns, row, width) for row in cells)
    return _with_head(_aligned([*heads, *(folded or narrow)], gap=2), len(heads))


def _fits(lines: Sequence[str], width: int) -> bool:
    return max(map(len, lines)) <= width


def _with_head(lines: Sequence[str], height: int) -> str:
    return "\n".join([*(click.style(line, bold=True) for line in lines[:height]), *lines[height:]])


def _stacked(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """Break names of columns into lines that stand on the rows, and make no column wider than it has to be."""
    names = [_broken(column, max(len(row[at]) for row in cells)) for at, column in enumerate(columns)]
    height = max(map(len, names))
    return list(map(list, zip(*([""] * (height - len(parts)) + parts for parts in names), strict=True)))


def _broken(name: str, width: int) -> list[str]:
    """Break a name at its blanks and its last hyphen into as few lines as fit the column, or its longest word."""
    words = re.findall(r"[^ ]+?(?:-(?=[^- ]+$)|(?= |$))", name)
    room = max(width, *map(len, words))
    lines = [words[0]]
    for word in words[1:]:
        joined = f"{lines[-1]}{'' if lines[-1].endswith('-') else ' '}{word}"
        if len(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _fold(heads: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], width: int) -> list[list[str]] | None:
    """Break the cells of the widest column into lines, so that the table is so wide; None where it cannot be."""
    widths = [max(map(len, column)) for column in zip(*heads, *rows, strict=True)]
    at = widths.index(max(widths))
    room = min(widths[at], width - sum(widths) - 2 * (len(widths) - 1) + widths[at])
    if room < max(NARROWEST, *(len(head[at]) for head in heads)):
        return None
    folded = []
    for row in rows:
        # A name breaks at its hyphens; in a sentence, an option such as --since does not.
        first, *rest = textwrap.wrap(row[at], room, break_on_hyphens=" " not in row[at]) or [""]
        folded.append([*row[:at], first, *row[at + 1 :]])
        folded += [[*[""] * at, more, *[""] * (len(row) - at - 1)] for more in rest]
    return folded


def _block(columns: Sequence[str], row: Sequence[str], width: int) -> str:
    """Return a row with a line for each column, and what is too long for one below it."""
    most = max(map(len, columns)) + 2
    lines = []
    for column, value in zip(columns, row, strict=True):
        first, *rest = textwrap.wrap(value, max(width - most, 20), break_on_hyphens=False) or [""]
        lines.append(f"{click.style(column, bold=True)}{' ' * (most - len(column))}{first}".rstrip())
        lines += [" " * most + more for more in rest]
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]], gap: int) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(" " * gap).join(map(str.ljust, row, widths)).rstrip() for row in rows]


def age(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was: ``27s``, ``5m``, ``3h``, from 48 hours on ``2d``.

    Args:
        moment: The moment.
        now: The moment to look back from; None takes the clock.
    """
    seconds = max(0, int(((now or datetime.now(timezone.utc)) - moment).total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    hours = seconds // 3600
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


def latency(seconds: float) -> str:
    """Return a number of seconds with three digits, in the unit that fits: ``3.14 ms``, ``24.1 ms``, ``1.25 s``."""
    # 999.6 ms would be rounded to 1e+03 ms.
    return f"{seconds:.3g} s" if seconds >= 0.9995 else f"{seconds * 1000:.3g} ms"


def size(count: int) -> str:
    """Return a number of bytes with three digits, in the unit that fits: ``312 bytes``, ``4.1 KiB``, ``2 GiB``."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        # 1023.6 KiB would be rounded to 1.02e+03 KiB.
        if count >= 999.5 * 1024 ** (power - 1):
            return f"{count / 1024**power:.3g} {unit}"
    return f"{count} bytes"


@contextmanager
def until_left() -> Iterator[None]:
    """Wrap output without an end, which Ctrl-C ends, or a reader (such as ``head``) that has read enough."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The rest of the buffer would raise again when the interpreter ends, and click would call that a failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def interactive() -> bool:
    """Return whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agree(question: str, *, yes: bool, otherwise: str, hint: str = "accept what is shown above with --yes") -> None:
    """Go on only where a person agrees.

    Args:
        question: What to ask.
        yes: Whether ``--yes`` was given, so that nobody is asked.
        otherwise: What is said where nobody can be asked.
        hint: What to do about that.

    Raises:
        CortexError: Nobody can be asked.
        click.Abort: The answer is no.
    """
    if yes:
        return
    if not interactive():
        raise CortexError(otherwise, hint=hint)
    click.confirm(question, abort=True, err=True)


def filled(text: str, width: int | None, indent: str = "") -> str:
    """Break a line at words where the terminal has no room for the whole.

    Args:
        text: One line.
        width: Characters in a line of the terminal; None where there is none.
        indent: What the lines after the first begin with.
    """
    if width is None or len(text) <= width:
        return text
    # What stands at the right of a narrow column cannot be read.
    indent = indent if width - len(indent) >= LEAST_BESIDE else "    "
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
