"""Show or follow an API's logs."""

from __future__ import annotations

import re
import select
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from cortex_cdk.logs.filters import LEVELS, LogFilter
from cortex_cli import options
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import until_left
from cortex_cli.suggestions import for_environment

if TYPE_CHECKING:
    from cortex_cdk.logs import LogRecord

SECTION = "APIs"

COLORS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
REPLICA_DIGITS = 8
# Records that are shown without --since and --tail: enough for the start of a replica and its last traceback.
DEFAULT_TAIL = 1000


class Expression(click.ParamType[re.Pattern[str]]):
    """A regular expression, of which ``^`` and ``$`` match at each line."""

    name = "regular expression"

    def convert(
        self, value: str | re.Pattern[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> re.Pattern[str]:
        """Compile the expression.

        Raises:
            click.BadParameter: It is none.
        """
        try:
            return re.compile(value, re.MULTILINE)
        except (re.error, RecursionError, OverflowError) as error:
            self.fail(f"{value!r} is no regular expression of Python's module re: {error}", param, ctx)


@click.command("logs")
@options.name()
@options.environment
@click.option("--follow/--no-follow", "-f/ ", default=True, help="Wait for new records (the default).")
@click.option(
    "--since", type=options.MOMENT, metavar="TIME", help="Only records from then on: 15m (ago), 14:05, a date."
)
@click.option("--until", type=options.MOMENT, metavar="TIME", help="Only records until then, written as for --since.")
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Only the newest N of the existing records ({DEFAULT_TAIL} without --since).",
)
@click.option(
    "--level",
    type=click.Choice(LEVELS, case_sensitive=False),
    help="Only records of this level, and of more severe ones.",
)
@click.option(
    "--replica",
    "replicas",
    type=options.TEXT,
    metavar="ID",
    multiple=True,
    help="Only of this replica (the beginning of its id is enough). Can be given several times.",
)
@click.option(
    "--revision",
    "revisions",
    type=options.TEXT,
    metavar="REVISION",
    multiple=True,
    help="Only of replicas of this revision, likewise.",
)
@click.option("--request-id", type=options.TEXT, metavar="ID", help="Only what belongs to this request.")
@click.option(
    "--grep",
    "text",
    type=Expression(),
    metavar="REGEX",
    help="Only records with such a text or traceback (Python's re; (?i) in front ignores case).",
)
@options.output
def command(
    name: str,
    env: str | None,
    follow: bool,
    since: datetime | None,
    until: datetime | None,
    tail: int | None,
    level: str | None,
    replicas: tuple[str, ...],
    revisions: tuple[str, ...],
    request_id: str | None,
    text: re.Pattern[str] | None,
    output: str,
) -> None:
    """Show an API's logs, and follow them until interrupted or the API is deleted.

    Each line shows the time, the beginning of the replica's id and the level, and at its end the id of the request that
    the record belongs to. The caller of the API got that id as X-Request-Id. Of several options, records must fit all.

    \b
    Example:
      cortex logs iris-classifier --since 15m --level warning
      cortex logs iris-classifier --no-follow --grep 'KeyError|ValueError' -o json
    """
    from cortex_cdk.client import Client

    options.check_period(since, until)
    if since is None and tail is None:
        tail = DEFAULT_TAIL
    follow = follow and not _is_over(until)
    wanted = LogFilter(level, request_id, replicas, revisions, text)
    client, shown = Client(env), 0
    told: set[str] = set()
    found = client.logs(name, following=follow, since=since, until=until, tail=tail, wanted=wanted, pause=_pause)
    with until_left():
        for record in found:
            click.echo(on_stdout(_as_json(record)) if output == "json" else as_text(record))
            shown += 1
            _tell_remedy(record, told)
    if missing := client.why_not_deployed(name):
        click.echo(missing, err=True)
    elif follow and not _is_over(until):
        click.echo(f"{name} was deleted", err=True)
    elif not shown and tail != 0:
        click.echo(_nothing(name, since, until, wanted), err=True)


def _is_over(until: datetime | None) -> bool:
    return until is not None and until <= datetime.now(timezone.utc)


def _nothing(name: str, since: datetime | None, until: datetime | None, wanted: LogFilter) -> str:
    """Say that there are no records, and with what there may be some."""
    wider = {
        "an earlier --since": since,
        "a later --until": until,
        "a lower --level": wanted.level not in (None, LEVELS[0]),
        "another --replica": wanted.replicas,
        "another --revision": wanted.revisions,
        "another --request-id": wanted.request_id,
        "another --grep": wanted.text,
    }
    given = [option for option, restricts in wider.items() if restricts]
    more = f"; there may be some with {' or '.join(given)}" if given else ""
    return for_environment(f"no records{more}; what the replicas do is shown by: cortex get {name}")


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


def as_text(record: LogRecord) -> str:
    """Return a record as a line, with the rest of its message and its traceback indented below."""
    moment = record.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    first, *rest = map(on_stdout, record.message.splitlines() or [""])
    level, color = on_stdout(record.level), COLORS.get(record.level)
    level = click.style(level, fg=color) if color else level
    request = record.fields.get("request_id")
    belonging = click.style(on_stdout(f"  {request}"), dim=True) if request else ""
    lines = [f"{moment} {on_stdout(record.replica[:REPLICA_DIGITS])} {level} {first}{belonging}"]
    return "\n".join(lines + [f"    {line}" for line in [*rest, *map(on_stdout, record.traceback)]])
