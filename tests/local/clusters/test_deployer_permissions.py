"""The policies that ``cortex cluster policy`` prints, enforced by the local cloud: enough for everything, and needed.

One user makes and removes the cluster, another deploys to it. Each call of the executable is written down.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex_cdk.aws.permissions.calls import CALLS, FREE
from tests.aws_calls import recorded, recording
from tests.conftest import Cortex

LOCAL_SPEED = "30"
PREDICTOR = """class PythonPredictor:
    def __init__(self, config):
        print("ready")

    def predict(self, payload):
        return payload
"""
API: dict[str, Any] = {
    "kind": "RealtimeAPI",
    "predictor": {"type": "python", "path": "predictor.py"},
    "compute": {"cpu": "100m", "mem": "200Mi"},
}
GROUP = {"name": "cpu", "instance_types": ["m6i.large"], "min_instances": 1, "max_instances": 1}
BOUNDARY = "arn:aws:iam::aws:policy/AdministratorAccess"
ROLE = "arn:aws:iam::123456789012:role/cloudformation"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(scope="module")
def environment(cortex: Cortex, calls: Path) -> None:
    """An environment like those of AWS, whose credentials matter."""
    cortex.ok("local", "up")
    cortex.ok("env", "configure", "cloud", "--cluster", "team", "--endpoint-url", cortex.control_url)
    cortex.environ.update(recording(calls))


@pytest.fixture(scope="module")
def policies(cortex: Cortex, environment: None) -> dict[str, dict[str, Any]]:
    """The printed policies, by name."""
    printed = cortex.run("cluster", "policy", "--env", "cloud", "-o", "json", environ=credentials("any", "any"))
    assert printed.returncode == 0, printed.stderr
    found: dict[str, dict[str, Any]] = json.loads(printed.stdout)
    assert ":123456789012:" in printed.stdout
    return found


def credentials(key: str, secret: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_PROFILE": ""}


def user(cortex: Cortex, name: str, documents: dict[str, Any], without: str | None = None) -> Run:
    """Make a user with policies, perhaps without one action; what runs ``cortex`` as that user."""
    iam = cortex.aws("iam")
    iam.create_user(UserName=name)
    for policy, document in documents.items():
        changed = copy.deepcopy(document)
        for statement in changed["Statement"]:
            statement["Action"] = [action for action in statement["Action"] if action != without]
        changed["Statement"] = [statement for statement in changed["Statement"] if statement["Action"]]
        made = iam.create_policy(PolicyName=f"{name}-{policy}", PolicyDocument=json.dumps(changed))
        iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    environ = credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return cortex.run(*arguments, "--env", "cloud", stdin=stdin, environ={**environ, **more})

    return run


def of(policies: dict[str, dict[str, Any]], purpose: str) -> dict[str, dict[str, Any]]:
    return {name: document for name, document in policies.items() if name.startswith(f"cortex-team-{purpose}")}


def done(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "may not do" not in finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "predictor.py").write_text(PREDICTOR)
    splitter = {
        "name": "both",
        "kind": "TrafficSplitter",
        "apis": [{"name": "a", "weight": 50}, {"name": "b", "weight": 50}],
    }
    (folder / "cortex.yaml").write_text(yaml.safe_dump([{"name": "a", **API}, {"name": "b", **API}, splitter]))
    return folder


@pytest.fixture(scope="module")
def operator(cortex: Cortex, policies: dict[str, dict[str, Any]]) -> Run:
    return user(cortex, "operator", of(policies, "cluster"))


@pytest.fixture(scope="module")
def deployed(cortex: Cortex, policies: dict[str, dict[str, Any]], operator: Run, project: Path) -> Run:
    """A cluster that the operator made, with APIs that somebody else has deployed, who is returned."""
    file = project.parent / "cluster.yaml"
    settings = {"permissions_boundary": BOUNDARY, "cloudformation_role": ROLE}
    file.write_text(yaml.safe_dump({"instance_groups": [GROUP], **settings}))
    assert "is ready" in done(operator("cluster", "up", str(file), "--yes"))
    deployer = user(cortex, "deployer", of(policies, "deploy"))
    done(deployer("deploy", str(project), "--yes"))
    return deployer


def test_the_deployers_policy_is_enough_for_a_working_day(deployed: Run, project: Path) -> None:
    assert {api["name"] for api in json.loads(done(deployed("get", "-o", "json")))} == {"a", "b", "both"}
    assert "live" in done(deployed("get", "a"))
    assert "nothing is wrong" in done(deployed("why", "a"))
    assert json.loads(done(deployed("predict", "both", "-", stdin='{"x": 1}'))) == {"x": 1}
    done(deployed("logs", "a", "--no-follow"))
    (project / "predictor.py").write_text(f"{PREDICTOR}\n# new\n")
    done(deployed("deploy", str(project), "--yes"))
    assert "deployer" in done(deployed("history", "a"))
    assert "+# new" in done(deployed("diff", "a"))
    done(deployed("export", "a", "v1", str(project.parent / "first")))
    done(deployed("rollback", "a"))
    done(deployed("refresh", "b"))
    done(deployed("cluster", "info"))


def test_cloudformation_takes_its_role_and_roles_have_the_boundary(cortex: Cortex, deployed: Run) -> None:
    stacks = cortex.aws("cloudformation").describe_stacks()["Stacks"]
    assert {stack["StackName"]: stack.get("RoleARN") for stack in stacks} == dict.fromkeys(
        ("cortex-team-cluster", "cortex-team-api-a", "cortex-team-api-b", "cortex-team-split-both"), ROLE
    )
    iam = cortex.aws("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("cortex-team")]
    roles = [iam.get_role(RoleName=name)["Role"] for name in names]
    assert len(roles) >= 6
    assert {role["PermissionsBoundary"]["PermissionsBoundaryArn"] for role in roles} == {BOUNDARY}
    # People then need no more than to pass it.
    printed = json.loads(done(deployed("cluster", "policy", "--for", "deploy", "-o", "json")))
    passed = [s for document in printed.values() for s in document["Statement"] if "iam:PassRole" in s["Action"]]
    assert [statement["Resource"] for statement in passed] == [ROLE]


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("cloudformation:DescribeStacks", ("get",)),
        ("ecs:UpdateService", ("refresh", "a")),
        ("logs:FilterLogEvents", ("logs", "a", "--no-follow")),
        ("s3:ListBucket", ("deploy", "PROJECT", "--yes")),
        ("cloudformation:CreateChangeSet", ("deploy", "PROJECT", "--yes")),
        ("cloudformation:DeleteStack", ("delete", "both")),
    ],
)
def test_a_missing_permission_is_named_with_what_to_do(
    cortex: Cortex, policies: dict[str, Any], deployed: Run, project: Path, action: str, command: tuple[str, ...]
) -> None:
    if "PROJECT" in command:
        # A project that is not there yet.
        (project / "predictor.py").write_text(f"{PREDICTOR}\n# {action}\n")
    somebody = user(cortex, action.replace(":", "-"), of(policies, "deploy"), without=action)
    refused = somebody(*(str(project) if part == "PROJECT" else part for part in command))
    assert refused.returncode == 1
    assert "may not do" in refused.stderr
    assert action in refused.stderr
    assert "cortex cluster policy" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_everything_can_be_removed_again(deployed: Run, operator: Run) -> None:
    done(deployed("delete", "both"))
    done(deployed("delete", "b"))
    # `down` deletes the API that is left.
    assert "removed the cluster team" in done(operator("cluster", "down", "--yes"))


def test_every_call_is_in_the_table(deployed: Run, calls: Path) -> None:
    known = {action for grant in CALLS for action in grant.actions} | FREE
    made = recorded(calls)
    assert made <= known
    assert len(made) > 40
