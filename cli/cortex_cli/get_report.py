"""Turns reports into the text of ``cortex get``. Pure, so that its golden files need nothing deployed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cortex_serving.contract import API_KEY_AUTH, METRIC_NAMESPACE, PREDICTION_METRIC, TRAFFIC_SPLITTER

from cortex_cdk import names
from cortex_cdk.history.parts import as_yaml
from cortex_cdk.replicas.stopped import StoppedReplica
from cortex_cdk.status.alarms import Alarm
from cortex_cdk.status.causes import Cause
from cortex_cdk.status.metrics import Predictions, Traffic
from cortex_cdk.status.read_status import LIVE, ApiStatus
from cortex_cdk.status.report import Report
from cortex_cdk.status.scaling_activities import ScalingActivity
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import age, filled, latency, table
from cortex_cli.replica_report import model_table, replica_table, used
from cortex_cli.suggestions import any_request, for_environment

NOTHING = "-"
# Longer lists of variants are cut, as Cortex does.
VARIANTS_WIDTH = 50
TRACKING = re.compile(r"alarm TargetTracking-\S*-Alarm(High|Low)-\S* in state ALARM triggered policy (\S+)")
TRACKED = {names.REQUESTS_POLICY: "requests per replica", names.IN_FLIGHT_POLICY: "requests in flight"}
SPARE = ("avg request", "p99", "last update")
"""Columns of lists that a narrow terminal does without; ``cortex get NAME`` has them."""
NO_APIS = "no apis are deployed"


def overview(reports: Mapping[str, Sequence[Report]], now: datetime, width: int | None = None) -> str:
    """Return a table of APIs and one of splitters.

    Args:
        reports: Reports by environment.
        now: The moment that ages are counted to.
        width: Characters in a line of the terminal; None where there is none.
    """
    apis, splitters = [], []
    for env, found in reports.items():
        for report in found:
            if report.api.kind == TRAFFIC_SPLITTER:
                splitters.append({"env": env, **_splitter_row(report.api, now)})
            else:
                apis.append({"env": env, "realtime api": report.api.name, **_api_row(report, now)})
    counted = _until(*(report for found in reports.values() for report in found))
    tables = ["\n".join([table(apis, width, SPARE), *counted])] if apis else []
    tables += [table(splitters, width, SPARE)] if splitters else []
    return "\n\n".join(tables) or NO_APIS


def detail(report: Report, now: datetime, width: int | None = None) -> str:
    """Return everything about one API or splitter, in the order of Cortex: numbers, predictions, pages, endpoint.

    Args:
        report: The report.
        now: The moment that ages are counted to.
        width: Characters in a line of the terminal; None where there is none.
    """
    if report.api.kind == TRAFFIC_SPLITTER:
        parts = [_members_table(report, now, width), _shared_counts(report)]
    else:
        parts = [
            "\n".join([table([_api_row(report, now)], width), *_until(report)]),
            _load(report, width),
        ]
    parts += [
        _in_lines(_reason(report.api), width),
        _in_lines(_alarms(report.alarms, now), width),
        _in_lines(_causes(report.causes), width),
        _more(report),
        _predictions(report.counted.predictions),
        _pages(report),
    ]
    parts += [_maximum(report), _activities(report.activities, now, width), _stopped(report.stopped, now, width)]
    parts += (
        [replica_table(report.replicas, now, width), model_table(report.replicas, width)] if report.replicas else []
    )
    parts += [_configuration(report.configuration)]
    return "\n\n".join(part for part in parts if part)


def _api_row(report: Report, now: datetime) -> dict[str, str]:
    replicas = report.api.replicas
    return {
        "status": report.api.status,
        "up-to-date": str(replicas.up_to_date),
        "stale": str(replicas.stale),
        "requested": str(replicas.requested),
        "failed": str(replicas.failed),
        "last update": age(report.api.last_update, now),
        **_traffic_columns(report.traffic),
    }


def _traffic_columns(traffic: Traffic | None) -> dict[str, str]:
    if traffic is None:
        return dict.fromkeys(("avg request", "p99", "2XX", "4XX", "5XX"), NOTHING)
    return {
        "avg request": NOTHING if traffic.average_latency is None else latency(traffic.average_latency),
        "p99": NOTHING if traffic.p99_latency is None else latency(traffic.p99_latency),
        "2XX": str(traffic.answers_2xx),
        "4XX": str(traffic.answers_4xx),
        "5XX": str(traffic.answers_5xx),
    }


def _until(*reports: Report) -> list[str]:
    """Say up to when requests count, of all: CloudWatch has them minutes late."""
    until = min((report.counted_until for report in reports if report.counted_until), default=None)
    return [f"requests until {until.astimezone():%H:%M %Z}"] if until else []


def _load(report: Report, width: int | None) -> str:
    """What the replicas use, and how requests wait for them."""
    cells = used(report.usage)
    batching = report.counted.batching
    if batching is not None:
        queue = {"p50 in queue": batching.p50_queue, "p99 in queue": batching.p99_queue}
        waited = {name: NOTHING if seconds is None else latency(seconds) for name, seconds in queue.items()}
        cells = {**cells, "requests in a batch": f"{batching.mean_size:.3g}", **waited}
    return table([cells], width) if cells else ""


def _splitter_row(splitter: ApiStatus, now: datetime) -> dict[str, str]:
    variants = " ".join(f"{variant.name}:{variant.weight}" for variant in splitter.variants)
    if len(variants) > VARIANTS_WIDTH:
        variants = variants[: VARIANTS_WIDTH - 3] + "..."
    return {
        "traffic splitter": splitter.name,
        "status": splitter.status,
        "apis": variants or NOTHING,
        "last update": age(splitter.last_update, now),
    }


def _members_table(report: Report, now: datetime, width: int | None) -> str:
    rows = []
    for member in report.members:
        api = member.report.api if member.report else None
        rows.append(
            {
                "apis": member.name,
                "weights": str(member.weight),
                "served": NOTHING if member.share is None else f"{member.share:.1f} %",
                "status": api.status if api else NOTHING,
                "requested": str(api.replicas.requested) if api else NOTHING,
                "last update": age(api.last_update, now) if api else NOTHING,
                **_traffic_columns(member.report.traffic if member.report else None),
            }
        )
    return table(rows, width, SPARE) if rows else ""


def _shared_counts(report: Report) -> str:
    """Return notes on members whose column "served" counts the requests of several splitters."""
    notes = [
        f"{member.name} is also in {', '.join(member.also_in)}: what it served counts both"
        for member in report.members
        if member.also_in and member.share is not None
    ]
    return "\n".join(notes)


def _in_lines(text: str, width: int | None) -> str:
    return "\n".join(filled(line, width, indent="  ") for line in text.splitlines())


def _reason(api: ApiStatus) -> str:
    return on_stdout(f"reason: {api.reason}") if api.reason else ""


def _alarms(alarms: Sequence[Alarm], now: datetime) -> str:
    return on_stdout("\n".join(f"alarm: {alarm.description} (since {age(alarm.since, now)})" for alarm in alarms))


def _causes(causes: Sequence[Cause]) -> str:
    return on_stdout("\n".join(f"{cause.subject}: {cause.message}" for cause in causes))


def _more(report: Report) -> str:
    """Return where the first cause is named of what is wrong; empty where nothing is."""
    wrong = report.api.status != LIVE or report.api.reason or report.alarms or report.causes
    return for_environment(f"first cause, and what to do: cortex why {report.api.name}") if wrong else ""


def _predictions(predictions: Predictions | None) -> str:
    if predictions is None:
        return ""
    if predictions.average is not None:
        numbers = {"min": predictions.minimum, "max": predictions.maximum, "avg": predictions.average}
        return table([{name: f"{number:.6g}" for name, number in numbers.items() if number is not None}])
    shown = table([{"class": name, "count": str(count)} for name, count in predictions.classes.items()])
    if not predictions.more_classes:
        return shown
    return f"{shown}\nmore classes are in CloudWatch: namespace {METRIC_NAMESPACE}, metric {PREDICTION_METRIC}"


def _pages(report: Report) -> str:
    api = report.api
    lines = []
    if report.links:
        pages = {"dashboard": report.links.dashboard, "logs": report.links.logs, "service": report.links.service}
        lines += [f"{name}: {url}" for name, url in pages.items() if url]
    lines.append(f"endpoint: {api.endpoint}")
    asked = [report, *(member.report for member in report.members)]
    needs_key = any(one is not None and one.api.auth == API_KEY_AUTH for one in asked)
    lines += [f"{what}: {line}" for what, line in any_request(api.name, needs_key=needs_key).items()]
    if api.revision:
        lines.append(f"revision: {api.revision}")
    return "\n".join(lines)


def _words(status: str) -> str:
    """Word a status such as ``InProgress``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", status).lower()


def _maximum(report: Report) -> str:
    if report.maximum is None:
        return ""
    return f"at its maximum of {report.maximum} replicas: more load adds none (autoscaling.max_replicas)"


def _activities(activities: Sequence[ScalingActivity], now: datetime, width: int | None) -> str:
    rows = [
        {
            "scaling activity": activity.description.rstrip("."),
            "when": f"{age(activity.time, now)} ago",
            "status": _words(activity.status),
            "cause": _cause(activity.cause),
        }
        for activity in activities
    ]
    return table(rows, width) if rows else ""


def _stopped(replicas: Sequence[StoppedReplica], now: datetime, width: int | None) -> str:
    rows = [
        {"stopped replica": replica.id[:8], "when": f"{age(replica.time, now)} ago", "reason": replica.reason}
        for replica in replicas
    ]
    return table(rows, width) if rows else ""


def _cause(cause: str) -> str:
    """Say why replicas were added or removed, without Application Auto Scaling's names of 200 characters."""
    found = TRACKING.search(cause)
    tracked = found and next((words for policy, words in TRACKED.items() if policy in found[2]), None)
    if not found or not tracked:
        return cause
    return f"{tracked} {'above' if found[1] == 'High' else 'below'} the target"


def _configuration(configuration: Mapping[str, Any] | None) -> str:
    """Return the fields of ``cortex.yaml`` as YAML, without those that are not set."""
    if configuration is None:
        return ""
    return on_stdout(f"configuration (with defaults):\n{as_yaml(configuration)}").rstrip()
