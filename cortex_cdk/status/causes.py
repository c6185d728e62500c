"""The rules that find out what is wrong with an API. Pure, and the only ones: read ``RULES`` first.

``cortex why`` names the first cause of all; ``cortex get`` shows those that its status does not tell (``causes_of``).
A rule is a function of what is known (``evidence``), and finds one cause or none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cortex_serving.contract import FATAL_EVENT, LOADING_EVENT

from cortex_cdk.logs import LogRecord
from cortex_cdk.replicas import remedies
from cortex_cdk.status.evidence import OF_STARTS, Evidence, Signs
from cortex_cdk.status.metrics import Latency

SLOW_SECONDS = 1.0
SLOW_FACTOR = 20
"""An answer of a second that takes twenty times as long as half of the others is worth a word."""
LATELY = timedelta(minutes=10)
"""A replica that ended longer ago, and has its successor, is no trouble any more."""
MANY_ERRORS = 0.1
"""The share of answers that the alarm on errors counts as too many."""
REFUSED = 0.5
"""Where more answers than that blame the client, clients and API do not fit."""
EXPECTED_ENDS = ("The local cloud was restarted.",)


@dataclass(frozen=True)
class Cause:
    """Something that is wrong with an API.

    Attributes:
        subject: What it is about, such as ``capacity`` or ``health checks``.
        message: What is wrong, and what follows from that, in one line.
        to_do: What to do next, in one line.
        since: Since when; None where nobody knows.
    """

    subject: str
    message: str
    to_do: str = ""
    since: datetime | None = None

    def as_json(self) -> dict[str, str]:
        """What ``cortex get -o json`` prints of it."""
        return {"subject": self.subject, "message": self.message}


def causes_of(signs: Signs) -> tuple[Cause, ...]:
    """Find what is wrong with an API that its status does not tell."""
    rules = (_unready, _leaving, _slow, _logs_outage, _storage_outage)
    return tuple(cause for rule in rules if (cause := rule(signs)))


def find_causes(evidence: Evidence) -> tuple[Cause, ...]:
    """Find everything that is wrong with an API, the first cause first."""
    found = tuple(cause for rule in RULES if (cause := rule(evidence)))
    unexplained = None if found else _unexplained(evidence)
    return (unexplained,) if unexplained else found


def _storage_outage(signs: Signs) -> Cause | None:
    if signs.storage_error is None:
        return None
    return Cause(
        "storage",
        f"S3 does not answer ({signs.storage_error}): replicas that run go on; new ones cannot fetch the project, and "
        "deployments fail",
        "wait until S3 answers again; ECS starts replicas until they work",
    )


def _logs_outage(signs: Signs) -> Cause | None:
    if signs.logs_error is None:
        return None
    return Cause(
        "logs",
        f"CloudWatch Logs does not answer ({signs.logs_error}): lines and metrics of replicas wait there, and are lost "
        "when they become too many; requests are answered as before",
        "wait until CloudWatch Logs answers again; replicas send their lines then",
    )


def _unready(signs: Signs) -> Cause | None:
    unready = [target for target in signs.targets if target.get("State") == "unhealthy"]
    if not unready:
        return None
    count = len(unready)
    why = unready[0].get("Description") or unready[0].get("Reason", "no reason given")
    fails = "fails its health check" if count == 1 else "fail their health checks"
    return Cause(
        "health checks",
        f"{count} of {len(signs.targets)} replicas {fails}: {why}",
        "see in the log what the replica is doing; ECS replaces the replica once its predictor.startup_timeout is over",
    )


def _leaving(signs: Signs) -> Cause | None:
    if not signs.leaving:
        return None
    return Cause(
        "instances",
        f"{', '.join(signs.leaving)} drains, and its replicas move to other instances: EC2 takes a spot instance back, "
        "or the group gets smaller",
        "nothing: replicas start elsewhere; run two or more (autoscaling.min_replicas) so that some serve meanwhile",
    )


def _slow(signs: Signs) -> Cause | None:
    latency = signs.recent.latency
    if latency is None or not _is_slow(latency):
        return None
    return Cause(
        "latency",
        f"some answers of the last minutes took {latency.longest:.1f} s, half of them {latency.median * 1000:.0f} ms "
        "at most: a replica, or some payloads, are much slower than the others",
        "compare the times of the requests in the log by replica, and replace a slow one (cortex refresh)",
    )


def _is_slow(latency: Latency) -> bool:
    return latency.longest >= max(SLOW_SECONDS, SLOW_FACTOR * latency.median)


def _unready_ones(evidence: Evidence) -> Cause | None:
    """Replicas fail their health check, and more of them than are still being built."""
    unready = sum(target.get("State") == "unhealthy" for target in evidence.signs.targets)
    return _unready(evidence.signs) if unready > len(evidence.starting) else None


def _of_signs(rule: Callable[[Signs], Cause | None]) -> Callable[[Evidence], Cause | None]:
    return lambda evidence: rule(evidence.signs)


def _capacity(evidence: Evidence) -> Cause | None:
    """No instance takes a replica: EC2 starts none, or the group may have no more."""
    if evidence.waiting_since is None:
        return None
    launch = next((size.launch_failure for size in evidence.sizes if size.launch_failure), None)
    if launch:
        group = next(size.name for size in evidence.sizes if size.launch_failure)
        message = f"instance group {group} cannot start an instance: {launch.what}"
        return Cause("launch", message, launch.to_do, evidence.waiting_since)
    to_do = "raise max_instances (cortex cluster configure), or ask for less in compute or for fewer replicas"
    if any(size.running < size.desired for size in evidence.sizes):
        to_do = "wait: an instance takes about 90 seconds to start"
    reason = evidence.api.reason or "no instance has room for a replica"
    return Cause("capacity", reason, to_do, evidence.waiting_since)


def _failing(evidence: Evidence) -> Cause | None:
    """Replicas fail, and nothing has taken their place yet."""
    if evidence.failed_at is None:
        return None
    reason = _last_words(evidence, evidence.api.failed_replica) or evidence.api.reason or "no reason is known"
    return Cause("replica", f"the replica failed: {reason}", _correct(reason), evidence.failed_at)


def _last_words(evidence: Evidence, replica: str | None) -> str | None:
    """What a replica said itself of its end."""
    said = (record for record in evidence.records if record.fields.get("event") == FATAL_EVENT)
    return next((record.message for record in said if record.replica == replica), None)


def _correct(reason: str) -> str:
    known = remedies.of_failure(reason) or "run the predictor by itself (cortex-serve FOLDER), correct the cause"
    return f"{known} and deploy again"


def _loading(evidence: Evidence) -> Cause | None:
    """A replica that is to serve is being built for unusually long."""
    of_running = [record for record in evidence.records if record.replica in evidence.running]
    return long_start(of_running) if evidence.is_short else None


def long_start(records: Sequence[LogRecord]) -> Cause | None:
    """Find what the replica is doing that said last that its start takes long.

    Args:
        records: Of replicas that are not ready, the oldest first.
    """
    said = [record for record in records if record.fields.get("event") == LOADING_EVENT]
    if not said:
        return None
    latest = said[-1]
    first = next(record for record in said if record.replica == latest.replica)
    return Cause(
        "start-up",
        f"a replica is {latest.message}",
        "wait, or look at what the line does (cortex-serve FOLDER shows it); predictor.startup_timeout ends the wait",
        first.time,
    )


def _failed_lately(evidence: Evidence) -> Cause | None:
    """The last deployment failed a moment ago, which somebody wonders about."""
    return _deployment(evidence, lately=True)


def _failed_earlier(evidence: Evidence) -> Cause | None:
    """The last deployment failed some time ago, which explains nothing that goes wrong now."""
    return _deployment(evidence, lately=False)


def _deployment(evidence: Evidence, *, lately: bool) -> Cause | None:
    failed = evidence.deployment
    if failed is None or (evidence.now - failed.at <= LATELY) != lately:
        return None
    undone = ", and was undone: the revision before it is deployed" if failed.undone else ""
    to_do = failed.to_do or _correct(failed.reason)
    return Cause("deployment", f"the last deployment failed{undone}: {failed.reason}", to_do, failed.at)


def _alarm(evidence: Evidence) -> Cause | None:
    if not evidence.alarms:
        return None
    first = min(evidence.alarms, key=lambda alarm: alarm.since)
    error = _usual_error(evidence.records)
    said = f"; replicas log: {error}" if error else ""
    return Cause("alarm", f"{first.description}{said}", _see_log(evidence), first.since)


def _server_errors(evidence: Evidence) -> Cause | None:
    recent = evidence.signs.recent
    if not recent.answered or recent.server_errors <= MANY_ERRORS * recent.answered:
        return None
    error = _usual_error(evidence.records)
    if error is None and evidence.mended:
        return None  # the counts do not tell revisions apart
    said = f"; replicas log: {error}" if error else ": 503 means that max_replica_concurrency requests were waiting"
    message = f"{recent.server_errors} of {recent.answered} answers of the last minutes were server errors{said}"
    since = next((one.time for one in _errors_of_requests(evidence.records)), None)
    return Cause("errors", message, _see_log(evidence), since)


def _logged_errors(evidence: Evidence) -> Cause | None:
    """Errors in the log, whatever the requests say."""
    errors = list(_errors_of_requests(evidence.records))
    if not errors or _alarm(evidence) or _server_errors(evidence):
        return None
    error = _usual_error(evidence.records)
    count = f"{len(errors)} errors" if len(errors) > 1 else "1 error"
    return Cause("errors", f"replicas logged {count} lately, such as: {error}", _see_log(evidence), errors[0].time)


def _errors_of_requests(records: Sequence[LogRecord]) -> Iterator[LogRecord]:
    """Errors of replicas that go on. Those of a start, and last words, are told elsewhere."""
    return (r for r in records if r.level in ("ERROR", "CRITICAL") and r.fields.get("event") not in OF_STARTS)


def _usual_error(records: Sequence[LogRecord]) -> str | None:
    """The error that was logged most often, in one line."""
    found = Counter(one_line(record) for record in _errors_of_requests(records))
    return found.most_common(1)[0][0] if found else None


def one_line(record: LogRecord) -> str:
    """What a record says, in one line: of a traceback the last, which names the exception."""
    lines = [line for line in (*record.message.splitlines(), *record.traceback) if line.strip()] or [""]
    is_traceback = any(line.startswith("Traceback ") for line in lines)
    return (lines[-1] if is_traceback else lines[0]).strip()


def _see_log(evidence: Evidence) -> str:
    return f"see the traceback, and the id of its request, with: cortex logs {evidence.api.name}"


def _ended(evidence: Evidence) -> Cause | None:
    """A replica ended lately, whether it has a successor or not."""
    if evidence.failed_at is not None:
        return None
    for replica in evidence.stopped:
        if evidence.now - replica.time > LATELY or replica.reason in EXPECTED_ENDS:
            continue
        if evidence.deployment and evidence.deployment.reason in replica.reason:
            continue
        reason = _last_words(evidence, replica.id) or replica.reason
        successor = "" if evidence.is_short else ", and another one has taken its place"
        again = f"{remedies.of_failure(reason) or 'correct the cause'} if it happens again"
        to_do = remedies.of_loss(reason) or again
        return Cause("replica", f"a replica ended{successor}: {reason}", to_do, replica.time)
    return None


def _scaling(evidence: Evidence) -> Cause | None:
    failed = evidence.scaling
    if failed is None:
        return None
    return Cause("scaling", f"the number of replicas could not be changed: {failed.reason}", _look(evidence), failed.at)


def _client_errors(evidence: Evidence) -> Cause | None:
    recent = evidence.signs.recent
    if not recent.answered or recent.client_errors <= REFUSED * recent.answered:
        return None
    return Cause(
        "requests",
        f"{recent.client_errors} of {recent.answered} requests of the last minutes were refused (4XX): the answer's "
        "body says what does not fit",
        f"send the sample request (cortex predict {evidence.api.name} sample.json), and compare",
    )


def _unexplained(evidence: Evidence) -> Cause | None:
    """What the status itself says, where no rule knows more."""
    api = evidence.api
    if api.status in ("live", "updating", "deleting") or not api.reason:
        return None
    return Cause("status", api.reason, _look(evidence), api.last_update)


def _look(evidence: Evidence) -> str:
    return f"see its events and replicas with: cortex get {evidence.api.name}"


RULES: tuple[Callable[[Evidence], Cause | None], ...] = (
    # What replicas need before they start.
    _of_signs(_storage_outage),
    _capacity,
    _of_signs(_leaving),
    # Their start.
    _failing,
    _loading,
    _unready_ones,
    # Their work.
    _alarm,
    _failed_lately,
    _server_errors,
    _ended,
    _logged_errors,
    _scaling,
    _of_signs(_slow),
    _client_errors,
    _failed_earlier,
    # What no request depends on.
    _of_signs(_logs_outage),
)
"""In the order of causality: what comes first explains what comes after, and is the first cause."""
