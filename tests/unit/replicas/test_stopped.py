"""Why a task ended: by request, with its instance, or because it failed."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.replicas.stopped import StopCause, stop_cause, stopped_reason


def task(stop_code: str | None, reason: str = "", status: str = "STOPPED") -> Any:
    code = {"stopCode": stop_code} if stop_code else {}
    return {"lastStatus": status, "stoppedReason": reason, **code}


@pytest.mark.parametrize(
    ("stop_code", "reason", "cause"),
    [
        ("EssentialContainerExited", "Essential container in task exited", StopCause.FAILED),
        ("TaskFailedToStart", "CannotPullContainerError: not found", StopCause.FAILED),
        ("ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group x)", StopCause.FAILED),
        ("ServiceSchedulerInitiated", "Task failed container health checks", StopCause.FAILED),
        ("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)", StopCause.REQUESTED),
        ("UserInitiated", "Task stopped by user", StopCause.REQUESTED),
        ("UserInitiated", "the experiment failed", StopCause.REQUESTED),
        ("SpotInterruption", "Your Spot Task was interrupted.", StopCause.LOST),
        ("TerminationNotice", "Host EC2 instance terminated.", StopCause.LOST),
        ("InfrastructureHealth", "", StopCause.LOST),
        (None, "", StopCause.LOST),
    ],
)
def test_every_stop_code_has_one_meaning(stop_code: str | None, reason: str, cause: StopCause) -> None:
    assert stop_cause(task(stop_code, reason)) is cause


def test_a_task_that_runs_has_not_ended() -> None:
    assert stop_cause(task(None, status="RUNNING")) is None
    assert stop_cause(task("ServiceSchedulerInitiated", status="DEACTIVATING")) is None


ASM = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable "
    "to retrieve secret from asm: service call has been retried 1 time(s): "
)
SSM = ASM.replace("secret from asm", "secrets from ssm")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            f"{ASM}failed to fetch secret arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf from "
            "secrets manager: AccessDeniedException: no",
            "the secret prod/db could not be read (",
        ),
        (f"{ASM}retrieved secret from Secrets Manager did not contain json key user", "the key user of a secret could"),
        (f"{SSM}invalid parameters: arn:aws:ssm:us-east-1:123456789012:parameter/a/b", "the secret /a/b could not"),
        (f"{SSM}a word of another agent", "a secret could not be read (a word of another agent); see"),
    ],
)
def test_a_secret_that_could_not_be_read_is_named(reason: str, words: str) -> None:
    said = stopped_reason(task("TaskFailedToStart", reason))
    assert said.startswith(words)
    assert reason.rpartition(" time(s): ")[2] in said
