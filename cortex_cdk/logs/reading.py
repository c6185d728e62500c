"""Reads an API's logs from CloudWatch.

CloudWatch shows an event some time after it happened, and the events of several replicas in no order of arrival. So
each poll looks back a while, and ``SeenEvents`` passes each event on once.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cortex_serving.contract import FATAL_EVENT, LOADING_EVENT, TRACEBACK_EVENT, log_stream

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.logs.filters import EVERYTHING, LogFilter
from cortex_cdk.logs.records import LogRecord, is_metrics, parse
from cortex_cdk.logs.streams import Streams

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

POLL_SECONDS = 0.75
# Most events arrive within seconds; those of a replica that was cut off from CloudWatch arrive later. Looking far
# back costs a request for each ten thousand events, so only every twelfth poll does.
NEAR_MS, LATENESS_MS = 10_000, 300_000
POLLS_BETWEEN_FAR_ONES = 12
MAX_REMEMBERED = 100_000
# How far to look back for the newest records: in steps, because CloudWatch reads from the oldest.
FIRST_LOOK_MS, WIDENING = 60_000, 12
TROUBLES = f"?ERROR ?CRITICAL ?{LOADING_EVENT}"
MOST_PAGES = 3


class SeenEvents:
    """Passes each event on once, however often and late it is read, in bounded memory.

    What happened before ``floor`` was passed on, or will not be. Every event after it is remembered.

    Args:
        floor: Milliseconds since the epoch.
        capacity: How many events to remember. Where more happen in five minutes, those that come late are lost
            rather than shown twice.
    """

    def __init__(self, floor: int, capacity: int = MAX_REMEMBERED) -> None:
        self.floor = floor
        self.newest = floor
        self._capacity = capacity
        self._ids: dict[int, set[str]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def fresh(self, events: Iterable[FilteredLogEventTypeDef]) -> list[FilteredLogEventTypeDef]:
        """Pick the events that were not passed on before."""
        passed = []
        for event in events:
            moment = event["timestamp"]
            if moment < self.floor:
                continue
            ids = self._ids.setdefault(moment, set())
            if event["eventId"] not in ids:
                ids.add(event["eventId"])
                self._count += 1
                self.newest = max(self.newest, moment)
                passed.append(event)
        return passed

    def forget(self, now: int) -> None:
        """Raise the floor to what is too old to come late, and further where memory asks for it.

        Args:
            now: Milliseconds since the epoch. A replica whose clock is fast must not hide the others.
        """
        newest = min(self.newest, now)
        floor = max(self.floor, newest - LATENESS_MS)
        if self._count <= self._capacity and floor - self.floor < NEAR_MS:
            # Sorting for every page would cost more than it frees.
            return
        for moment in sorted(self._ids):
            # Events of the newest moment may still follow on the next page.
            if moment >= newest or (moment >= floor and self._count <= self._capacity):
                break
            self._count -= len(self._ids.pop(moment))
            floor = max(floor, moment + 1)
        self.floor = floor

    def reach(self, now: int) -> None:
        """Note that everything until now was looked through, and may have held nothing that is wanted.

        Else the next look would go through all of it again. A clock of this machine that is wrong by more than
        ``LATENESS_MS`` would lose events, but AWS refuses its calls anyway.
        """
        self.newest = max(self.newest, now)

    def start(self, now: int, *, far: bool) -> int:
        """Say from where to read next, in milliseconds since the epoch."""
        return self.floor if far else max(self.floor, min(self.newest, now) - NEAR_MS)


class _NoGroupError(Exception):
    """There is no such log group, not yet or not any more."""


def _pages(cloud: Cloud, group: str, **query: Any) -> Iterator[Sequence[FilteredLogEventTypeDef]]:
    """Pages of events, oldest first; none of a group that does not exist."""
    with suppress(_NoGroupError):
        yield from _pages_of_group(cloud, group, **query)


def _pages_of_group(cloud: Cloud, group: str, **query: Any) -> Iterator[Sequence[FilteredLogEventTypeDef]]:
    from botocore.exceptions import ClientError

    # AWS has interleaved streams since 2019 whatever is asked for; others want to be asked.
    paginator = cloud.logs.get_paginator("filter_log_events")
    try:
        for page in paginator.paginate(logGroupName=group, interleaved=True, **query):
            yield page["events"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        raise _NoGroupError from error


def read(
    cloud: Cloud,
    group: str,
    since: datetime | None = None,
    tail: int | None = None,
    *,
    until: datetime | None = None,
    wanted: LogFilter = EVERYTHING,
) -> Iterator[LogRecord]:
    """Read the records that are there now, oldest first, without metrics.

    Args:
        cloud: A session of the environment.
        group: The log group.
        since: Only records from then on.
        tail: Only that many of the newest.
        until: Only records until then.
        wanted: Only records that it admits.

    Raises:
        CortexError: No replica that is wanted has written anything, while others have.
    """
    log = _Log(cloud, group, until, wanted)
    if tail is not None:
        _, records = _newest(log, _milliseconds(since) if since else 0, tail)
        yield from records
        return
    for page in log.pages(_milliseconds(since) if since else None):
        yield from log.records(page)


def follow(
    cloud: Cloud,
    group: str,
    since: datetime | None = None,
    tail: int | None = None,
    *,
    until: datetime | None = None,
    wanted: LogFilter = EVERYTHING,
    pause: Callable[[float], object] = time.sleep,
    is_deployed: Callable[[], bool] = lambda: True,
) -> Iterator[LogRecord]:
    """Read the records that are there, then new ones as they come, until the caller stops or the API is gone.

    Each record comes once; metrics are left out.

    Args:
        cloud: A session of the environment.
        group: The log group.
        since: Only records from then on.
        tail: Of those that are there, only that many of the newest.
        until: Only records until then; what comes some seconds late is still waited for.
        wanted: Only records that it admits.
        pause: Waits between polls, a number of seconds; an exception that it raises ends the iteration.
        is_deployed: Whether the API is there. Asked now and then: its group may outlive the API.

    Raises:
        CortexError: No replica that is wanted has written anything, while others have.
    """
    log = _Log(cloud, group, until, wanted)
    seen = SeenEvents(_milliseconds(since) if since else 0)
    if tail is not None:
        seen, records = _newest(log, seen.floor, tail)
        yield from records
    was_there, without_api = False, 0
    for poll in itertools.count():
        far, now = poll % POLLS_BETWEEN_FAR_ONES == 0, _now()
        start = seen.start(now, far=far)
        if far:
            log.streams.refresh()
            without_api = 0 if is_deployed() else without_api + 1
        try:
            for page in log.pages_of_group(start):
                was_there = True
                yield from log.records(seen.fresh(page))
                seen.forget(_now())
        except _NoGroupError:
            # The stack of an API that is being created may not have made it yet.
            if was_there:
                return
        if wanted.pattern:
            seen.reach(now)
        # Not the first time: last words are still on their way.
        if without_api > 1 or (until and now > _milliseconds(until) + NEAR_MS):
            return
        pause(POLL_SECONDS)


class _Log:
    """The events of a log group that may be wanted: CloudWatch leaves out what it can.

    Args:
        cloud: A session of the environment.
        group: The log group.
        until: Only events until then.
        wanted: Only records that it admits.
    """

    def __init__(self, cloud: Cloud, group: str, until: datetime | None, wanted: LogFilter) -> None:
        self._cloud = cloud
        self._group = group
        self._wanted = wanted
        self.until = _milliseconds(until) if until else None
        self.streams = Streams(cloud, group, wanted)

    def pages(self, start: int | None) -> Iterator[Sequence[FilteredLogEventTypeDef]]:
        """Pages of events, oldest first; none of a group that does not exist."""
        with suppress(_NoGroupError):
            yield from self.pages_of_group(start)

    def pages_of_group(self, start: int | None) -> Iterator[Sequence[FilteredLogEventTypeDef]]:
        """Pages of events, oldest first.

        Raises:
            _NoGroupError: There is no such group.
        """
        query = {"startTime": start, "endTime": self.until, "filterPattern": self._wanted.pattern}
        given = {name: value for name, value in query.items() if value is not None}
        return _pages_of_group(self._cloud, self._group, **given, **self.streams.query())

    def records(self, events: Iterable[FilteredLogEventTypeDef]) -> Iterator[LogRecord]:
        """The records that are wanted."""
        return (record for record in map(parse, events) if not is_metrics(record) and self._wanted.admits(record))


def _newest(log: _Log, since: int, count: int) -> tuple[SeenEvents, deque[LogRecord]]:
    """The newest records, and what was seen on the way. Looks further back until there are enough."""
    now, look = _now(), FIRST_LOOK_MS
    last = now if log.until is None else min(now, log.until)
    while True:
        start = max(since, last - look)
        seen, records = SeenEvents(start), deque[LogRecord](maxlen=count)
        for page in log.pages(start):
            records.extend(log.records(seen.fresh(page)))
            seen.forget(now)
        if len(records) == count or start == since:
            return seen, records
        look *= WIDENING


def search(cloud: Cloud, group: str, phrase: str, since: datetime | None = None) -> Iterator[LogRecord]:
    """Find the records with a phrase, oldest first, metrics among them.

    Args:
        cloud: A session of the environment.
        group: The log group.
        phrase: Words without quotation marks.
        since: Only records from then on.
    """
    query = {"startTime": _milliseconds(since)} if since else {}
    for page in _pages(cloud, group, filterPattern=f'"{phrase}"', **query):
        yield from map(parse, page)


def troubles(cloud: Cloud, group: str, since: datetime, until: datetime | None = None) -> Iterator[LogRecord]:
    """Find errors, last words, and what replicas say of a start that takes long, oldest first.

    CloudWatch reads what lies between, too, so a few pages must do.

    Args:
        cloud: A session of the environment.
        group: The log group.
        since: Only records from then on.
        until: Only records until then.
    """
    query = {"endTime": _milliseconds(until) + 1} if until else {}
    pages = _pages(cloud, group, startTime=_milliseconds(since), filterPattern=TROUBLES, **query)
    for page in itertools.islice(pages, MOST_PAGES):
        yield from (record for record in map(parse, page) if _is_trouble(record))


def _is_trouble(record: LogRecord) -> bool:
    return record.level in ("ERROR", "CRITICAL") or record.fields.get("event") == LOADING_EVENT


def fatal_record(cloud: Cloud, group: str, revision: str, task_id: str) -> LogRecord | None:
    """Find the record with which a replica said why it could not go on, with the traceback before it.

    Args:
        cloud: A session of the environment.
        group: The log group.
        revision: The revision that the replica ran.
        task_id: The id of its ECS task.

    Returns:
        None where the replica said nothing of the kind.
    """
    traceback: tuple[str, ...] = ()
    for page in _pages(cloud, group, logStreamNames=[log_stream(revision, task_id)]):
        for record in map(parse, page):
            event = record.fields.get("event")
            if event == TRACEBACK_EVENT:
                traceback = tuple(record.message.splitlines())
            elif event == FATAL_EVENT:
                return replace(record, traceback=record.traceback or traceback)
    return None


def _now() -> int:
    return int(time.time() * 1000)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
