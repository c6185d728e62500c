"""Evidence of one API, made by hand: as little of it as a case needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from cortex_cdk.logs import LogRecord
from cortex_cdk.replicas.stopped import StoppedReplica
from cortex_cdk.status.decide_status import Replicas
from cortex_cdk.status.evidence import Evidence
from cortex_cdk.status.read_status import ApiStatus

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
REPLICA = "0f3a5c1e9b7d4e21a6c8d0f2b4a69788"


def ago(**passed: float) -> datetime:
    return NOW - timedelta(**passed)


def api(status: str = "live", *, up: int = 2, of: int = 2, **changed: Any) -> ApiStatus:
    found = ApiStatus(
        name="iris",
        kind="RealtimeAPI",
        status=status,
        endpoint="http://127.0.0.1:8080/iris",
        revision="3185d7c42311",
        replicas=Replicas(requested=of, up_to_date=up, stale=0, failed=0),
        created=ago(days=1),
        last_update=ago(hours=1),
    )
    return replace(found, **changed)


def record(message: str, level: str = "ERROR", event: str | None = None, **passed: float) -> LogRecord:
    fields = {"event": event} if event else {}
    return LogRecord(ago(**(passed or {"minutes": 1})), REPLICA, "3185d7c42311", level, message, (), fields)


def ended(reason: str, exit_code: int | None = 1, **passed: float) -> StoppedReplica:
    return StoppedReplica(REPLICA, ago(**(passed or {"minutes": 1})), reason, exit_code)


def healthy(**changed: Any) -> Evidence:
    """An API with nothing wrong."""
    return replace(Evidence(NOW, api(), serving_since=ago(hours=3), running=frozenset({REPLICA})), **changed)


def failing(reason: str, last_words: str | None = None, status: str = "error") -> Evidence:
    """An API whose only replica failed: what ECS says, and what the replica said itself."""
    said = (record(last_words, "CRITICAL", "fatal"),) if last_words else ()
    sick = api(status, up=0, of=1, reason=reason, failed_replica=REPLICA)
    return healthy(api=sick, failed_at=ago(minutes=1), stopped=(ended(reason),), records=said, serving_since=None)
