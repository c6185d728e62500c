"""Show or follow an API's logs."""

from __future__ import annotations

import re
import select
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import click

from cortex_cli import options
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import until_left
from cortex_cli.suggestions import for_environment

if TYPE_CHECKING:
    from cortex_cdk.logs import LogRecord

SECTION = "APIs"

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COLORS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
REPLICA_DIGITS = 8
# Records that are shown without --since and --tail: enough for the start of a replica and its last traceback.
DEFAULT_TAIL = 1000


class Age(click.ParamType[datetime]):
    """A duration such as ``90s``, ``15m``, ``2h`` or ``1d``; becomes the moment that long ago."""

    name = "duration"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment that long ago; one before 1970 becomes 1970.

        Raises:
            click.BadParameter: The value is no duration, or too long.
        """
        if isinstance(value, datetime):
            return value
        match = re.fullmatch(r"(\d+)([smhd])", value, re.ASCII)
        if not match:
            self.fail(f"{value!r} is not a duration like 90s, 15m, 2h or 1d", param, ctx)
        try:
            moment = datetime.now(timezone.utc) - timedelta(**{UNITS[match[2]]: int(match[1])})
        except OverflowError:
            self.fail(f"{value!r} is too long ago", param, ctx)
        return max(moment, datetime.fromtimestamp(0, timezone.utc))


@click.command("logs")
@options.name()
@options.environment
@click.option("--follow/--no-follow", "-f/ ", default=True, help="Wait for new records (the default).")
@click.option("--since", type=Age(), metavar="AGE", help="Only records from the last 90s, 15m, 2h, 1d.")
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Only the newest N of the existing records ({DEFAULT_TAIL} without --since).",
)
@options.output
def command(name: str, env: str | None, follow: bool, since: datetime | None, tail: int | None, output: str) -> None:
    """Show an API's logs, and follow them until interrupted or the API is deleted.

    Each line shows the time, the beginning of the replica's id and the level, and at its end the id of the request that
    the record belongs to. The caller of the API got that id as X-Request-Id.

    \b
    Example:
      cortex logs iris-classifier --since 15m
    """
    from cortex_cdk.client import Client

    if since is None and tail is None:
        tail = DEFAULT_TAIL
    client, shown = Client(env), 0
    told: set[str] = set()
    with until_left():
        for record in client.logs(name, following=follow, since=since, tail=tail, pause=_pause):
            click.echo(on_stdout(_as_json(record)) if output == "json" else _as_text(record))
            shown += 1
            _tell_remedy(record, told)
    if missing := client.why_not_deployed(name):
        click.echo(missing, err=True)
    elif follow:
        click.echo(f"{name} was deleted", err=True)
    elif not shown and tail != 0:
        click.echo(for_environment(f"no records; what the replicas do is shown by: cortex get {name}"), err=True)


def _tell_remedy(record: LogRecord, told: set[str]) -> None:
    """Say what to change so that replicas may do what the record says they may not, once for each permission."""
    from cortex_cdk.replicas.missing_permissions import remedy

    found = remedy("\n".join((record.message, *record.traceback)))
    if found and found not in told:
        told.add(found)
        click.echo(f"hint: {found}", err=True)


def _pause(seconds: float) -> None:
    """Wait, unless the reader of stdout (such as ``head``) has left.

    Raises:
        BrokenPipeError: The reader has left.
    """
    if sys.platform == "win32":
        time.sleep(seconds)
        return
    sys.stdout.flush()
    reader = select.poll()
    # No event is asked for: a closed end is reported all the same.
    reader.register(sys.stdout.fileno(), 0)
    if reader.poll(seconds * 1000):
        raise BrokenPipeError


def _as_json(record: LogRecord) -> str:
    import json

    fields = record.fields or {"level": record.level, "message": record.message}
    return json.dumps(
        {"time": record.time.isoformat(), "replica": record.replica, "revision": record.revision, **fields},
        ensure_ascii=False,
    )


def _as_text(record: LogRecord) -> str:
    """Return a record as a line, with the rest of its message and its traceback indented below."""
    moment = record.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    first, *rest = map(on_stdout, record.message.splitlines() or [""])
    level = click.style(on_stdout(record.level), fg=COLORS.get(record.level))
    request = record.fields.get("request_id")
    belonging = click.style(on_stdout(f"  {request}"), dim=True) if request else ""
    lines = [f"{moment} {on_stdout(record.replica[:REPLICA_DIGITS])} {level} {first}{belonging}"]
    return "\n".join(lines + [f"    {line}" for line in [*rest, *map(on_stdout, record.traceback)]])
