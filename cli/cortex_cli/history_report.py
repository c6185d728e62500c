"""Turns the history of an API or splitter, and differences between deployments, into text. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import datetime

import click

from cortex_cdk.history.compare import Comparison, Content, FileChange
from cortex_cdk.history.record import DEPLOYED, Record
from cortex_cdk.history.releases import UNRECORDED, History
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import age, table

SHOWN_DIGITS = 7
NOTHING = "-"
LEAST_WIDTH = 40
SHORTEST_NAME = 6
NARROW = 80
"""Characters in a line below which heads are short."""
SHORT_HEADS = {"number": "no.", "revision": "rev."}
_COLOURS = {"+++": "", "---": "", "@@": "cyan", "+": "green", "-": "red"}


def timeline(history: History, now: datetime, width: int | None = None) -> str:
    """Return the deployments, the newest first: a line each, and below it why and what.

    Args:
        history: The deployments.
        now: The moment that ages are counted to.
        width: Characters in a line of the terminal; None where there is none.
    """
    if not history.records:
        return f"{history.api} {UNRECORDED}. Its next deployment begins one."
    head, *lines = _table([_row(history, record, now) for record in history.records], width).splitlines()
    parts = [head]
    for record, line in zip(history.records, lines, strict=True):
        parts += [line, *_indented(_notes(record), width)]
    return "\n".join(parts)


def _table(rows: list[dict[str, str]], width: int | None) -> str:
    """The table, with shorter names where lines would not fit."""
    if width is None or _width(table(rows)) <= width:
        return table(rows)
    if width < NARROW:
        rows = [{SHORT_HEADS.get(head, head): value for head, value in row.items()} for row in rows]
    longest = max(SHORTEST_NAME, max(len(row["who"]) for row in rows) - max(0, _width(table(rows)) - width))
    return table([{**row, "who": _cut(row["who"], longest)} for row in rows])


def _width(text: str) -> int:
    return max(len(click.unstyle(line)) for line in text.splitlines())


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 2]}.."


def _row(history: History, record: Record, now: datetime) -> dict[str, str]:
    return {
        "number": record.name,
        "revision": record.release.revision[:SHOWN_DIGITS] or NOTHING,
        "when": age(record.started, now),
        "who": record.author or NOTHING,
        "commit": str(record.commit or NOTHING),
        "outcome": history.outcome_of(record),
    }


def _notes(record: Record) -> Iterator[str]:
    """What stands below the line of a deployment."""
    if record.message:
        yield f'"{record.message}"'
    if record.restores is not None:
        yield f"back to v{record.restores}"
    yield from record.changes
    if record.reason and record.outcome != DEPLOYED:
        yield record.reason


def _indented(notes: Iterator[str], width: int | None) -> Iterator[str]:
    for note in notes:
        if width is None:
            yield f"    {on_stdout(note)}"
            continue
        yield from textwrap.wrap(
            on_stdout(note), max(width, LEAST_WIDTH), initial_indent="    ", subsequent_indent="      "
        )


def comparison(found: Comparison) -> str:
    """Return what differs between two deployments, as ``diff -u`` writes it."""
    names = f"{found.before.name} and {found.after.name}"
    if found.is_empty:
        return f"{names} of {found.after.api} do not differ"
    parts = [_coloured(found.configuration)] if found.configuration else []
    parts += [_file(file) for file in found.files]
    if found.other_image:
        parts.append("the image is another one, for other dependencies or another version of cortex")
        parts += [f"- {found.before.release.image}", f"+ {found.after.release.image}"]
    return "\n".join(parts)


def _file(file: FileChange) -> str:
    if file.diff is not None:
        # An empty file has no lines.
        return _coloured(file.diff) if file.diff else f"{file.path}: {file.change}, empty"
    return f"{file.path}: {file.change}, {file.hidden}: {_content(file.before)} -> {_content(file.after)}"


def _content(content: Content | None) -> str:
    return f"{content.size} bytes {content.sha256[:12]}" if content else "none"


def _coloured(diff: str) -> str:
    return "\n".join(_coloured_line(line) for line in on_stdout(diff).split("\n")[:-1])


def _coloured_line(line: str) -> str:
    colour = next((colour for start, colour in _COLOURS.items() if line.startswith(start)), "")
    return click.style(line, fg=colour) if colour else line
