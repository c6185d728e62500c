"""``cortex logs``"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import click

from cli import options

if TYPE_CHECKING:
    from cortex_cdk.logs import LogRecord

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
REPLICA_DIGITS = 8


class Age(click.ParamType[datetime]):
    """A duration such as ``90s``, ``15m``, ``2h`` or ``1d``; becomes the moment that long ago."""

    name = "duration"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse it.

        Raises:
            click.BadParameter: It is no duration.
        """
        if isinstance(value, datetime):
            return value
        match = re.fullmatch(r"(\d+)([smhd])", value)
        if not match:
            self.fail(f"{value!r} is not a duration like 90s, 15m, 2h or 1d", param, ctx)
        return datetime.now(timezone.utc) - timedelta(**{UNITS[match[2]]: int(match[1])})


@click.command("logs")
@click.argument("name")
@options.environment
@click.option("--follow/--no-follow", "-f/ ", default=True, help="Wait for new records (the default).")
@click.option("--since", type=Age(), metavar="AGE", help="Only records from the last 90s, 15m, 2h, 1d.")
@click.option("--tail", type=click.IntRange(min=1), metavar="N", help="Only the newest N records that are there.")
@options.output
def command(name: str, env: str | None, follow: bool, since: datetime | None, tail: int | None, output: str) -> None:
    """Show an API's logs, and follow them until interrupted."""
    from cortex_cdk.client import Client
    from cortex_cdk.logs import is_metrics

    for record in Client(env).logs(name, following=follow, since=since, tail=tail):
        if output == "json":
            click.echo(_as_json(record))
        elif not is_metrics(record):
            _print(record)


def _as_json(record: LogRecord) -> str:
    import json

    fields = record.fields or {"level": record.level, "message": record.message}
    return json.dumps({"time": record.time.isoformat(), "replica": record.replica, **fields}, ensure_ascii=False)


def _print(record: LogRecord) -> None:
    moment = record.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    color = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}.get(record.level)
    click.echo(
        f"{moment} {record.replica[:REPLICA_DIGITS]} " + click.style(record.level, fg=color) + f" {record.message}"
    )
    for line in record.traceback:
        click.echo(f"    {line}")
