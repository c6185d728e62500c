"""Stacks that cannot be changed as they are: left alone until everything else is ready, and recovered then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.conftest import Cortex
from tests.local.cli.mistakes import PREDICTOR, write_files
from tests.local.deploy.test_joining import Deployment, deploying, project, until_it_runs
from tests.local.localcloud.stacks import Stacks, log_group, stuck_service, template
from tests.local.waiting import until

__all__ = ["deploying", "project"]  # fixtures

BROKEN = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "x"}}
SERVICE = "cortex-local-api-slow"


def config(name: str, **settings: Any) -> str:
    """A cortex.yaml of one API (JSON is YAML)."""
    api = {"name": name, "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    return json.dumps([{**api, "compute": {"cpu": "50m", "mem": "200Mi"}, **settings}])


@pytest.fixture(scope="module")
def stacks(cortex: Cortex) -> Stacks:
    cortex.ok("cluster", "up", "--yes")
    return Stacks(Endpoint(cortex.control_url, "", 0))


class Left:
    """Makes stacks in states from which they cannot be updated, with the names of stacks of APIs."""

    def __init__(self, cortex: Cortex, stacks: Stacks) -> None:
        self.cortex, self.stacks = cortex, stacks
        self.mend: Callable[[], object] = lambda: None

    def rollback_complete(self, name: str) -> None:
        self.stacks.create(name, template(Bad=BROKEN))

    def create_failed(self, name: str) -> None:
        self.stacks.create(name, template(Group=log_group("half-made"), Bad=BROKEN), OnFailure="DO_NOTHING")

    def review_in_progress(self, name: str) -> None:
        self.stacks.change_set(name, template(Group=log_group("never-made")), kind="CREATE")

    def delete_failed(self, name: str) -> None:
        self.stacks.create(
            name, template(Bucket={"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "kept-full"}})
        )
        s3 = self.cortex.aws("s3")
        s3.put_object(Bucket="kept-full", Key="a", Body=b"a")
        self.stacks.delete(name)
        self.mend = lambda: s3.delete_object(Bucket="kept-full", Key="a")

    def update_rollback_failed(self, name: str) -> None:
        logs = self.cortex.aws("logs")
        before, after = stuck_service(desired=0), stuck_service(desired=1)
        before["Resources"]["Group"] = log_group("fragile", RetentionInDays=7)
        after["Resources"]["Group"] = log_group("fragile", RetentionInDays=30)
        after["Resources"]["Service"]["DependsOn"] = "Group"
        identity = self.stacks.create(name, before)["StackId"]
        self.stacks.api.update_stack(
            StackName=name, TemplateBody=json.dumps(after), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        until(lambda: ("Service", "UPDATE_IN_PROGRESS") in self.stacks.events(name))
        logs.delete_log_group(logGroupName="fragile")
        self.stacks.api.cancel_update_stack(StackName=name)
        self.stacks.settled(identity)
        self.mend = lambda: logs.create_log_group(logGroupName="fragile")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("rollback_complete", "removing what is left of an earlier attempt"),
        ("create_failed", "removing what is left of an earlier attempt"),
        ("review_in_progress", "removing what is left of an earlier attempt"),
        ("delete_failed", "removing what is left of an earlier attempt"),
        ("update_rollback_failed", "continuing the roll-back of its last update, which failed"),
    ],
)
def test_what_a_failure_left_is_untouched_until_everything_else_is_right(
    cortex: Cortex, stacks: Stacks, tmp_path: Path, state: str, said: str
) -> None:
    name = state.replace("_", "-")
    stack_name, left = f"cortex-local-api-{name}", Left(cortex, stacks)
    getattr(left, state)(stack_name)

    def seen() -> tuple[Any, int]:
        [stack] = stacks.api.describe_stacks(StackName=stack_name)["Stacks"]
        return (stack["StackId"], stack["StackStatus"]), len(stacks.events(stack_name))

    before = seen()
    assert before[0][1] == state.upper()
    write_files(tmp_path, {"predictor.py": PREDICTOR, "cortex.yaml": config(name, compute={"cpu": 64})})
    refused = cortex.run("deploy", cwd=tmp_path)
    assert refused.returncode == 1
    assert "has room for a replica that asks for" in refused.stderr
    write_files(tmp_path, {"cortex.yaml": config(name), "dependencies.sh": "exit 3\n"})
    refused = cortex.run("deploy", cwd=tmp_path)
    assert refused.returncode == 1
    assert "the image could not be built" in refused.stderr
    assert seen() == before

    left.mend()
    (tmp_path / "dependencies.sh").unlink()
    done = cortex.run("deploy", "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{name}: {said}\n" in done.stderr
    assert cortex.json("get", name)["status"] == "live"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"dependencies.sh": "exit 3\n"}, "the image could not be built from dependencies.sh"),
        ({"cortex.yaml": config("slow", compute={"cpu": 64})}, "slow: no instance of cluster local has room"),
        ({"cortex.yaml": config("slow", networking={"endpoint": "/taken"})}, "the endpoint /taken is taken by the API"),
    ],
    ids=["image", "capacity", "endpoint"],
)
def test_a_forced_deployment_that_is_refused_leaves_the_running_update_alone(
    cortex: Cortex,
    stacks: Stacks,
    tmp_path: Path,
    project: Callable[[str], None],
    deploying: Callable[[], Deployment],
    mistake: dict[str, str],
    message: str,
) -> None:
    write_files(tmp_path / "other", {"predictor.py": PREDICTOR, "cortex.yaml": config("taken")})
    cortex.ok("deploy", cwd=tmp_path / "other")
    (tmp_path / "first").touch()
    project("first")
    cortex.ok("deploy", str(tmp_path / "project"))
    project("next")
    updating = deploying()
    until_it_runs(cortex)
    events = len(stacks.events(SERVICE))

    project("third")
    write_files(tmp_path / "project", dict(mistake))
    refused = cortex.run("deploy", "--force", str(tmp_path / "project"))
    assert (refused.returncode, message in refused.stderr) == (1, True), refused.stderr

    [stack] = stacks.api.describe_stacks(StackName=SERVICE)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_IN_PROGRESS"
    assert not [event for event in stacks.events(SERVICE)[events:] if "ROLLBACK" in event[1]]
    (tmp_path / "next").touch()
    code, said = updating.end()
    assert code == 0, said
    assert "updated slow (RealtimeAPI)" in said
    assert cortex.ok("predict", "slow", "-", stdin="").strip() == "next"
    cortex.ok("delete", "slow", "--yes")
