"""Says what is wrong with an API or traffic splitter, since when, why, and what to do next: ``cortex why``.

    stack -> evidence (``read_evidence``) -> causes (``causes``) -> diagnosis

The first cause is named; the others are part of the evidence, which is in the order of time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from cortex_serving.contract import FATAL_EVENT, REALTIME_API, TRACEBACK_EVENT, TRAFFIC_SPLITTER

from cortex_cdk import log_groups, names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.errors import NotDeployedError
from cortex_cdk.logs import LogRecord, troubles
from cortex_cdk.replicas import remedies
from cortex_cdk.stack_operations.stack import read_stack
from cortex_cdk.status.causes import Cause, find_causes, one_line
from cortex_cdk.status.evidence import Evidence
from cortex_cdk.status.read_evidence import read_evidence
from cortex_cdk.status.read_status import LIVE, ApiStatus, Variant, list_apis, splitter_of

NOT_DEPLOYED = "not deployed"
RECORDS_SHOWN = 4
STOPPED_SHOWN = 3
ID_DIGITS = 8
# Paths of the project are short, except in what the user's code writes itself (traceback.print_exc).
_IN_PROJECT = re.compile(r'File "(?!/|<|site-packages/)|File ".*/project/')
"""A frame in the user's files."""
_SERVICE = re.compile(r"^\(service [^)]*\) ")
_ARN = re.compile(r" arn:[^)\s]*\)")
EVER, NEVER = datetime.fromtimestamp(0, timezone.utc), datetime.max.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Proof:
    """One fact that a diagnosis rests on.

    Attributes:
        source: Who said so, such as ``log`` or ``replica 0f3a5c1e``.
        message: What, in one line.
        time: When; None for what is so now.
    """

    source: str
    message: str
    time: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """What ``cortex why -o json`` prints of it."""
        return {**asdict(self), "time": self.time.isoformat() if self.time else None}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with an API or splitter.

    Attributes:
        name: Its name.
        kind: ``RealtimeAPI`` or ``TrafficSplitter``.
        status: As ``cortex get`` shows it, or ``not deployed``.
        summary: How it goes, in one sentence without an end.
        cause: The first cause; None where nothing is wrong.
        since: Since when that is so; None where nobody knows.
        evidence: What this rests on, and what else is wrong: the oldest first, and at the end what is so now.
    """

    name: str
    kind: str
    status: str
    summary: str
    cause: Cause | None = None
    since: datetime | None = None
    evidence: tuple[Proof, ...] = ()

    def __repr__(self) -> str:
        cause = f" The first cause: {self.cause.message}. Next: {self.cause.to_do}." if self.cause else ""
        return f"<{self.name} ({self.status}): {self.summary}.{cause}>"

    def as_json(self) -> dict[str, Any]:
        """What ``cortex why -o json`` prints."""
        cause = self.cause
        return {
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "summary": self.summary,
            "since": self.since.isoformat() if self.since else None,
            "cause": {"subject": cause.subject, "message": cause.message} if cause else None,
            "next": cause.to_do if cause else None,
            "evidence": [proof.as_json() for proof in self.evidence],
        }


def why(cloud: Cloud, cluster: RunningCluster, name: str) -> Diagnosis:
    """Find out what is wrong with an API or splitter.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster.
        name: Its name.

    Raises:
        NotDeployedError: There is none of that name, and nothing is left of one.
    """
    stack = read_stack(cloud, names.api_stack(cluster.name, name))
    if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
        return diagnose(read_evidence(cloud, cluster, name, stack))
    apis = list_apis(cloud, cluster)
    try:
        splitter = splitter_of(apis, name)
    except NotDeployedError:
        missing = _missing(cloud, cluster, name)
        if missing is None:
            raise
        return missing
    deployed = {api.name for api in apis}
    with ThreadPoolExecutor(5) as pool:
        members = pool.map(
            lambda one: why(cloud, cluster, one.name) if one.name in deployed else None, splitter.variants
        )
        return diagnose_splitter(splitter, list(zip(splitter.variants, members, strict=True)))


def diagnose(evidence: Evidence) -> Diagnosis:
    """Say what is wrong with an API, from what is known of it."""
    api, causes = evidence.api, find_causes(evidence)
    cause = causes[0] if causes else None
    return Diagnosis(
        name=api.name,
        kind=api.kind,
        status=api.status,
        summary=_summary(evidence),
        cause=cause,
        since=cause.since if cause else evidence.serving_since or api.last_update,
        evidence=_in_order(_proofs(evidence, causes)),
    )


def _summary(evidence: Evidence) -> str:
    replicas, recent = evidence.api.replicas, evidence.signs.recent
    healthy = sum(target.get("State") == "healthy" for target in evidence.signs.targets)
    # The status counts a replica that was healthy once until ECS replaces the replica.
    serving = min(replicas.up_to_date, healthy) if evidence.signs.targets else replicas.up_to_date
    parts = [f"{serving} of {replicas.requested} replicas serve"]
    if replicas.stale and replicas.up_to_date < replicas.requested:
        parts.append(f"{replicas.stale} of the revision before still do")
    if recent.answered:
        bad = f"{recent.server_errors} with a server error" if recent.server_errors else "none with a server error"
        requests = "1 request was" if recent.answered == 1 else f"{recent.answered} requests were"
        parts.append(f"{requests} answered in the last minutes, {bad}")
    return "; ".join(parts)


def _proofs(evidence: Evidence, causes: Sequence[Cause]) -> Iterator[Proof]:
    for cause in causes[1:]:
        yield Proof(f"also: {cause.subject}", cause.message, cause.since)
    for replica in evidence.stopped[:STOPPED_SHOWN]:
        yield Proof(f"replica {replica.id[:ID_DIGITS]} ended", replica.reason, replica.time)
    yield from _of_records(evidence.records)
    if evidence.is_short:
        for moment, message in evidence.events:
            yield Proof("ECS", _ARN.sub(")", _SERVICE.sub("", message)), moment)


def _in_order(proofs: Iterable[Proof]) -> tuple[Proof, ...]:
    """As they happened: what comes first may explain what comes after."""
    return tuple(sorted(proofs, key=lambda proof: proof.time or NEVER))


def _of_records(records: Sequence[LogRecord]) -> list[Proof]:
    """The last records that say different things. Last words only repeat the traceback before them."""
    explained = {record.replica for record in records if record.fields.get("event") == TRACEBACK_EVENT}
    found: dict[str, Proof] = {}
    for record in reversed(records):
        if record.fields.get("event") != FATAL_EVENT or record.replica not in explained:
            proof = _of_record(record)
            found.setdefault(proof.message, proof)
    return list(found.values())[:RECORDS_SHOWN][::-1]


def _of_record(record: LogRecord) -> Proof:
    return Proof(f"log of {record.replica[:ID_DIGITS]}", _place(record) + one_line(record), record.time)


def _place(record: LogRecord) -> str:
    """Where an exception was raised: the last frame of a traceback in the project, with its line of code.

    Of one that does not go through the project, the last frame.
    """
    lines = [line.strip() for line in (*record.message.splitlines(), *record.traceback)]
    frames = [number for number, line in enumerate(lines) if line.startswith('File "')]
    if not frames:
        return ""
    last = next((number for number in reversed(frames) if _IN_PROJECT.match(lines[number])), frames[-1])
    file, _, rest = lines[last].removeprefix('File "').partition('", ')
    code = lines[last + 1].rstrip(":") if last + 2 < len(lines) else ""
    return f"{file.rpartition('/')[2]}, {rest}: {f'{code}: ' if code else ''}"


def diagnose_splitter(splitter: ApiStatus, members: Sequence[tuple[Variant, Diagnosis | None]]) -> Diagnosis:
    """Say what is wrong with a splitter, from what is wrong with its members.

    Args:
        splitter: Its status.
        members: Its APIs with what is wrong with them; None for one that is not deployed.
    """
    shares = ", ".join(
        f"{variant.weight} % to {variant.name} ({found.status if found else NOT_DEPLOYED})"
        for variant, found in members
    )
    # One that gets no requests does not matter; one that serves matters less than one that does not.
    concerned = sorted(
        ((variant, found) for variant, found in members if variant.weight),
        key=lambda member: member[1] is not None and member[1].status == LIVE,
    )
    found_causes = [cause for variant, found in concerned if (cause := _of_member(variant, found))]
    cause = found_causes[0] if found_causes else _own(splitter)
    summary = f"its requests go {shares}" if members else "it sends requests nowhere"
    proofs = [Proof(f"also: {one.subject}", one.message, one.since) for one in found_causes[1:]]
    for variant, found in members:
        proofs += (
            [Proof(f"{variant.name}: {one.source}", one.message, one.time) for one in found.evidence] if found else []
        )
    return Diagnosis(
        name=splitter.name,
        kind=TRAFFIC_SPLITTER,
        status=splitter.status,
        summary=summary,
        cause=cause,
        since=cause.since if cause else splitter.last_update,
        evidence=_in_order(proofs),
    )


def _of_member(variant: Variant, found: Diagnosis | None) -> Cause | None:
    aside = "give it the weight 0"
    if found is None:
        return Cause("member", f"{variant.name} is not deployed", f"deploy the API again, or {aside}")
    if found.cause is None:
        return None
    cause = found.cause
    to_do = cause.to_do if found.status == LIVE else f"{cause.to_do}; meanwhile, {aside}"
    return Cause(cause.subject, f"{variant.name}: {cause.message}", to_do, found.since)


def _own(splitter: ApiStatus) -> Cause | None:
    if not splitter.reason:
        return None
    return Cause("splitter", splitter.reason, f"deploy {splitter.name} again", splitter.last_update)


def _missing(cloud: Cloud, cluster: RunningCluster, name: str) -> Diagnosis | None:
    """Say why an API is not deployed whose records are still there; None where nothing is left of it."""
    if not log_groups.is_kept(cloud, cluster.name, name):
        return None
    noted = log_groups.noted_failure(cloud, cluster.name, name)
    summary = "only its records are left"
    if noted is None:
        to_do = f"deploy the API again, or remove what is left (cortex delete {name})"
        cause = Cause("deployment", "it was deleted, or its first deployment was given up", to_do)
        return Diagnosis(name, REALTIME_API, NOT_DEPLOYED, summary, cause)
    reason = noted.reason.removeprefix("the replica failed: ")
    known = remedies.of_failure(reason) or "correct the cause (cortex-serve FOLDER runs the predictor by itself)"
    cause = Cause("deployment", f"its first deployment failed: {noted.reason}", f"{known} and deploy again", noted.at)
    group = names.log_group(cluster.name, name)
    records = [one for one in troubles(cloud, group, EVER) if one.replica != log_groups.DEPLOYER]
    proofs = tuple(_of_records(records))
    return Diagnosis(name, REALTIME_API, NOT_DEPLOYED, summary, cause, noted.at, proofs)
