"""The first cause of what is wrong: for each row of docs/troubleshooting.md, and in the right order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.aws.launch_failures import explain
from cortex_cdk.localcloud import faults
from cortex_cdk.replicas.pending import GroupSize
from cortex_cdk.status.alarms import Alarm
from cortex_cdk.status.causes import causes_of, find_causes
from cortex_cdk.status.diagnosis import diagnose
from cortex_cdk.status.evidence import Evidence, FailedDeployment, ScalingFailure, Signs
from cortex_cdk.status.metrics import Latency, Recent
from tests.conftest import ROOT
from tests.unit.status.evidence import NOW, ago, api, ended, failing, healthy, record

EXITED = "Essential container in task exited (exit code 1)"
DENIED = (
    "ClientError: An error occurred (AccessDenied) when calling the GetObject operation: User: "
    "arn:aws:sts::1:assumed-role/iris/x is not authorized to perform: s3:GetObject on resource: "
    '"arn:aws:s3:::models/a" because no identity-based policy allows the s3:GetObject action'
)
LAUNCH = explain("Max spot instance count exceeded. Launching EC2 instance failed.", NOW)


def waiting(reason: str, *sizes: GroupSize) -> Evidence:
    starved = api("updating", up=0, of=1, reason=f"waiting for capacity: {reason}")
    return healthy(api=starved, waiting_since=ago(minutes=1), sizes=sizes, serving_since=None)


def answered(**counts: Any) -> Evidence:
    return healthy(signs=Signs(recent=replace(Recent(answered=100), **counts)))


LOAD = "still loading after 15 s: predictor.py:12 in __init__: requests.get(URL)"
LATE = "the replica has not become ready within 600 s (predictor.startup_timeout): predictor.py:12 in __init__"
ROWS: dict[str, tuple[Evidence, str, str]] = {
    # The replica failed
    "is not authorized to perform": (failing(EXITED, DENIED), "s3:GetObject", "predictor.iam_policies"),
    "an exception in __init__ or at import": (failing(EXITED, "ValueError: no model"), "ValueError", "cortex-serve"),
    "the sample request sample.json failed": (
        failing(EXITED, "the sample request sample.json got 500 (...)"), "sample.json", "predictor.warmup: false",
    ),
    "Can't get attribute 'X' on <module '__main__'": (
        failing(EXITED, "AttributeError: Can't get attribute 'X' on <module '__main__' (<class 'X'>)>"), "__main__",
        "define it in a file of the project",
    ),
    "ModuleNotFoundError": (
        failing(EXITED, "ModuleNotFoundError: No module named 'cv2'"), "cv2", "add opencv-python-headless",
    ),
    "CannotPullContainerError": (
        failing("CannotPullContainerError: not found", status="error (image pull)"), "CannotPull", "predictor.image",
    ),
    "OutOfMemoryError: Container killed due to memory usage": (
        failing("OutOfMemoryError: Container killed due to memory usage (exit code 137)"), "OutOfMemory", "compute.mem",
    ),
    "worker 0 exited with code 7, was ended by SIGSEGV": (
        failing(EXITED, "worker 0 exited with code 7; 5 workers died within 60 seconds"), "code 7", "os._exit",
    ),
    "has not become ready within 600 s": (failing(EXITED, LATE), "predictor.py:12", "predictor.startup_timeout"),
    # A replica dies now and then
    "OutOfMemoryError: Container killed due to memory usage (exit code 137)": (
        healthy(stopped=(ended("OutOfMemoryError: Container killed due to memory usage (exit code 137)", 137),)),
        "another one has taken its place", "raise compute.mem",
    ),
    "worker 0 has not run Python for 300 s in the log": (
        healthy(records=(record("worker 0 has not run Python for 300 s (...): it is ended", event="worker_hung"),)),
        "has not run Python", "cortex logs iris",
    ),
    "Task failed ELB health checks": (
        healthy(stopped=(ended("Task failed ELB health checks in (target-group x)", 0),)), "ELB", "look in the log",
    ),
    "Host EC2 instance terminated.": (
        healthy(stopped=(ended("Host EC2 instance terminated.", 137),)), "Host EC2", "nothing: ECS starts another",
    ),
    "The local cloud ended unexpectedly, and was started again.": (
        healthy(stopped=(ended("The local cloud ended unexpectedly, and was started again.", None),)),
        "ended unexpectedly", "daemon.log",
    ),
    # An answer is wrong
    "400": (answered(client_errors=80), "80 of 100 requests", "cortex predict iris sample.json"),
    "413": (answered(client_errors=80), "80 of 100 requests", "cortex predict iris sample.json"),
    "500": (
        replace(answered(server_errors=20), records=(record("Traceback (most recent call last):\nKeyError: 1"),)),
        "KeyError: 1", "cortex logs iris",
    ),
    "503 with Retry-After": (answered(server_errors=20), "max_replica_concurrency", "cortex logs iris"),
    "502, 503, 504 from the load balancer": (
        replace(failing(EXITED), alarms=()), "the replica failed", "deploy again",
    ),
    # Waiting for capacity
    "instance group G starts 1 instance": (
        waiting("no room", GroupSize("G", 0, 1, 3)), "no room", "wait: an instance takes",
    ),
    "instance group G has N instances, its maximum": (
        waiting("no room", GroupSize("G", 3, 3, 3)), "no room", "raise max_instances",
    ),
    "instance group G cannot start an instance: WHY: WHAT TO DO": (
        waiting("no room", GroupSize("G", 0, 1, 3, LAUNCH)), "no more spot instances", "Service Quotas",
    ),
    "... insufficient GPU resource, local cloud": (
        waiting("insufficient GPU resource", GroupSize("G", 1, 1, 1)), "insufficient GPU", "fewer replicas",
    ),
}  # fmt: skip
"""By the first column of a row: what is known, what the first cause says, and what is to be done."""
NOT_WRONG = {"The local cloud was restarted."}
"""Rows with nothing to do."""
NOT_KNOWN = {
    # Of no API that is deployed.
    "404 from the load balancer",
}
BEFORE_A_DEPLOYMENT = {"The image cannot be built", "The local cloud"}
"""Sections whose failures leave nothing behind that could be read: the command that fails tells the cause."""


def rows() -> Iterator[str]:
    section = ""
    for line in (ROOT / "docs/troubleshooting.md").read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        found = re.fullmatch(r"\| (?!-)(.+?) \| .+ \|", line)
        if found and section not in BEFORE_A_DEPLOYMENT:
            first = found[1].replace("`", "")
            if first not in ("Cause", "Reason", "Answer", "Message", "Symptom"):
                yield first


def test_every_row_of_the_page_is_tried() -> None:
    assert set(rows()) == {*ROWS, *NOT_WRONG, *NOT_KNOWN}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_page_is_the_first_cause(row: str) -> None:
    evidence, said, to_do = ROWS[row]
    (first, *_) = find_causes(evidence)
    assert said in first.message
    assert to_do in first.to_do


def unready() -> Evidence:
    targets = [{"State": "healthy"}, {"State": "unhealthy", "Reason": "Target.FailedHealthChecks"}]
    return healthy(signs=Signs(targets=targets))  # type: ignore[arg-type]


FAULTS: dict[str, tuple[Evidence, str]] = {
    faults.KILL_REPLICA: (healthy(stopped=(ended(f"{EXITED[:-2]}37: SIGKILL)", 137),)), "replica"),
    faults.SLOW_REPLICA: (healthy(signs=Signs(recent=Recent(Latency(0.003, 1.4), 100))), "latency"),
    faults.UNREADY_REPLICA: (unready(), "health checks"),
    faults.NO_CAPACITY: (waiting("no room", GroupSize("G", 0, 1, 3, LAUNCH)), "launch"),
    faults.LAUNCH_FAILURE: (waiting("no room", GroupSize("G", 0, 1, 3, LAUNCH)), "launch"),
    faults.SPOT_NOTICE: (healthy(signs=Signs(leaving=("i-1 of instance group G",))), "instances"),
    faults.S3_DOWN: (healthy(signs=Signs(storage_error="status 503")), "storage"),
    faults.LOGS_DOWN: (healthy(signs=Signs(logs_error="ServiceUnavailableException")), "logs"),
    faults.DAEMON_KILL: (
        healthy(stopped=(ended("The local cloud ended unexpectedly, and was started again.", None),)), "replica",
    ),
}  # fmt: skip
"""By the kind of ``cortex local chaos``: what is known then, and what the first cause is about.

``tests/local/localcloud/test_chaos.py`` makes the faults themselves."""


def test_every_fault_that_can_be_made_is_tried() -> None:
    page = (ROOT / "docs/chaos.md").read_text()
    assert set(FAULTS) == set(faults.KINDS) == set(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE))


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_the_first_cause(kind: str) -> None:
    evidence, subject = FAULTS[kind]
    (first, *_) = find_causes(evidence)
    assert first.subject == subject
    assert first.to_do


def test_nothing_is_wrong_with_an_api_that_serves() -> None:
    quiet = healthy(stopped=(ended("The local cloud was restarted.", 0), ended(EXITED, minutes=11)))
    assert find_causes(quiet) == ()
    found = diagnose(quiet)
    assert (found.summary, found.cause) == ("2 of 2 replicas serve", None)
    assert found.since == quiet.serving_since


def test_replicas_that_start_are_not_sick() -> None:
    found = unready()
    assert find_causes(found)[0].subject == "health checks"
    assert diagnose(found).summary.startswith("1 of 2 replicas serve")
    assert find_causes(replace(found, starting=frozenset({"b"}))) == ()


def test_a_long_start_is_named_while_the_replica_runs_and_is_missed() -> None:
    said = (record(LOAD, "INFO", "still_loading", minutes=2), record(LOAD.replace("15", "30"), "INFO", "still_loading"))
    slow = healthy(api=api("updating", up=0, of=1), records=said)
    (cause,) = find_causes(slow)
    assert cause.message == f"a replica is {said[1].message}"
    assert cause.since == said[0].time
    assert find_causes(replace(slow, api=api())) == ()
    assert find_causes(replace(slow, running=frozenset())) == ()


def test_a_deployment_that_failed_is_told_once_and_only_as_long_as_nothing_is_worse() -> None:
    deployment = FailedDeployment(ago(minutes=2), "ValueError: no model", undone=True)
    (cause,) = find_causes(healthy(deployment=deployment, stopped=(ended("ValueError: no model (exit code 1)"),)))
    assert cause.message.endswith("and was undone: the revision before it is deployed: ValueError: no model")
    erring = replace(answered(server_errors=20), deployment=deployment)
    assert [one.subject for one in find_causes(erring)] == ["deployment", "errors"]
    old = replace(deployment, at=ago(days=3))
    assert [one.subject for one in find_causes(replace(answered(server_errors=20), deployment=old))] == [
        "errors",
        "deployment",
    ]
    first, second = find_causes(replace(failing(EXITED), deployment=deployment, stopped=()))
    assert (first.subject, second.subject) == ("replica", "deployment")


def test_answers_of_a_revision_that_is_gone_are_not_blamed_on_the_one_that_serves() -> None:
    counted = answered(server_errors=60)
    assert find_causes(replace(counted, mended=True)) == ()
    (still,) = find_causes(replace(counted, mended=True, records=(record("KeyError: 'a'"),)))
    assert "60 of 100 answers" in still.message


FACTS: dict[str, object] = {
    "storage": {"signs": Signs(storage_error="status 503")},
    "launch": {"waiting_since": ago(minutes=1), "sizes": (GroupSize("G", 0, 1, 3, LAUNCH),)},
    "instances": {"signs": Signs(leaving=("i-1 of instance group G",))},
    "alarm": {"alarms": (Alarm("a", ago(minutes=3), "More than 10 % are server errors"),)},
    "deployment": {"deployment": FailedDeployment(ago(minutes=2), "KeyError", undone=True)},
    "replica": {"stopped": (ended(EXITED),)},
    "errors": {"records": (record("Traceback (most recent call last):\nKeyError: 'a'"),)},
    "scaling": {"scaling": ScalingFailure(ago(minutes=1), "no")},
    "latency": {"signs": Signs(recent=Recent(Latency(0.01, 3.0), 10))},
    "logs": {"signs": Signs(logs_error="ServiceUnavailableException")},
}
"""Facts that are causes by themselves, the most causal first."""


def together(subjects: list[str]) -> Evidence:
    signs, others = Signs(), {}
    for subject in subjects:
        fact = dict(FACTS[subject])  # type: ignore[call-overload]
        if given_signs := fact.pop("signs", None):
            changed = {name: value for name, value in vars(given_signs).items() if value != getattr(Signs(), name)}
            signs = replace(signs, **changed)
        others.update(fact)
    return healthy(signs=signs, **others)


@given(st.sets(st.sampled_from(list(FACTS))))
def test_whatever_comes_together_the_most_causal_is_first_and_none_is_lost(chosen: set[str]) -> None:
    evidence = together([subject for subject in FACTS if subject in chosen])
    # The alarm names the usual error itself.
    told = chosen - ({"errors"} if "alarm" in chosen else set())
    subjects = [subject for subject in FACTS if subject in told]
    causes = find_causes(evidence)
    assert [cause.subject for cause in causes] == subjects
    assert all(cause.to_do and "\n" not in cause.message for cause in causes)
    found = diagnose(evidence)
    assert found.cause == (causes[0] if causes else None)
    also = [proof.source for proof in found.evidence if proof.source.startswith("also: ")]
    assert sorted(also) == sorted(f"also: {subject}" for subject in subjects[1:])
    times = [proof.time for proof in found.evidence]
    known = [time for time in times if time]
    assert times == [*sorted(known), *[None] * (len(times) - len(known))], (
        "in the order of time, what is so now at last"
    )
    shown_by_get = {"storage", "instances", "latency", "logs"} & chosen
    assert {cause.subject for cause in causes_of(evidence.signs)} == shown_by_get
