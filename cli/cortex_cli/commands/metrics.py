"""Plot what was measured of an API."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cortex_cli import options
from cortex_cli.output import as_json, until_left
from cortex_cli.terminal import clear_screen

if TYPE_CHECKING:
    from cortex_cdk.status.series import Measurements

SECTION = "APIs"

# CloudWatch has a point a minute, and charges for each time that it is asked.
WATCH_SECONDS = 20.0
WIDTH = 80


@click.command("metrics")
@options.name()
@options.environment
@click.option(
    "--since",
    type=options.SINCE,
    default="3h",
    show_default=True,
    metavar="TIME",
    help="From when: 7d (ago), 14:05, a date.",
)
@click.option("--until", type=options.MOMENT, metavar="TIME", help="Until when, written as for --since (default: now).")
@click.option("--period", type=options.SPAN, metavar="SPAN", help="What one value stands for (default: what fits).")
@click.option("--save", type=options.PathOf(dir_okay=False), metavar="FILE", help="Write a .png, .csv or .json file.")
@click.option("-w", "--watch", is_flag=True, help="Show the same again every 20 seconds, until interrupted.")
@options.output
def command(
    name: str,
    env: str | None,
    since: datetime | timedelta,
    until: datetime | None,
    period: float | None,
    save: Path | None,
    watch: bool,
    output: str,
) -> None:
    """Plot requests, errors, latencies, load, batches and replicas of an API over time.

    The APIs of a traffic splitter stand side by side. A gap means that nothing was measured then, which is no zero.

    \b
    Example:
      cortex metrics iris
      cortex metrics iris --since 7d --save iris.csv
      cortex metrics iris --since 10:00 --until 11:30
    """
    from cortex_cdk.client import Client
    from cortex_cdk.status.series_files import save as save_file
    from cortex_cdk.status.series_files import writer_of

    if save and watch:
        raise click.UsageError("--save writes one file, and --watch never ends: give one of them")
    if until and watch:
        raise click.UsageError("--watch shows what is new, and --until ends before: give one of them")
    options.check_period(since, until)
    if save:
        writer_of(save)
    client = Client(env)
    with until_left():
        while True:
            found = client.metrics(
                name,
                since=since,
                until=until,
                period=timedelta(seconds=period) if period else None,
                **_points(output, save),
            )
            if save:
                save_file(found, save)
                click.echo(f"saved {save}", err=True)
                if output == "pretty":
                    return
            text = as_json(found.as_json()) if output == "json" else _plots(found, _height() if watch else None)
            if watch and output == "pretty":
                clear_screen()
            click.echo(text)
            if not watch:
                return
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)


def _points(output: str, save: Path | None) -> dict[str, int]:
    """So many values as there are columns to draw them in."""
    from cortex_cli.plots import points_within

    return {} if output == "json" or save else {"points": points_within(_width())}


def _plots(found: Measurements, height: int | None) -> str:
    from cortex_cli.plots import ASCII, BLOCKS, draw

    glyphs = BLOCKS
    try:
        (BLOCKS.parts + BLOCKS.shades + BLOCKS.side).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        glyphs = ASCII
    return draw(found, _width(), glyphs=glyphs, height=height)


def _height() -> int | None:
    """The lines of a terminal on which plots are shown in place, without that of the cursor; None in a pipe."""
    return shutil.get_terminal_size().lines - 1 if sys.stdout.isatty() else None


def _width() -> int:
    """The terminal's width; in a pipe that of COLUMNS, or 80."""
    return shutil.get_terminal_size((WIDTH, 24)).columns
