"""What AWS would refuse, as `cortex deploy` says it: which resource, why, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Cortex

PREDICTOR = """\
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one API, `text`."""
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    api = {"name": "text", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (tmp_path / "cortex.yaml").write_text(yaml.safe_dump([api]))
    return tmp_path


def test_a_name_that_is_taken_is_named_before_anything_is_made(cortex: Cortex, project: Path) -> None:
    cortex.ok("cluster", "up", "--yes")
    logs = cortex.aws("logs")
    logs.create_log_group(logGroupName="/cortex/local/text")
    done = cortex.run("deploy", cwd=project)
    assert done.returncode == 1
    assert (
        "error: cortex-local-api-text: log group: Resource of type 'AWS::Logs::LogGroup' with "
        "identifier '/cortex/local/text' already exists.\n"
        "hint: delete what has that name if nobody needs it any more, and try again\n"
    ) in done.stderr
    stacks = cortex.aws("cloudformation").describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks] == ["cortex-local-cluster"], "no empty stack stays"

    logs.delete_log_group(logGroupName="/cortex/local/text")
    assert cortex.ok("deploy", cwd=project).startswith("created text")


def test_what_a_load_balancer_has_no_room_for_is_refused_before_anything_is_made(cortex: Cortex, project: Path) -> None:
    """A hundred target groups, as a hundred APIs have them, and no more: AWS does not raise that."""
    elb, cloudformation = cortex.aws("elbv2"), cortex.aws("cloudformation")
    cortex.ok("deploy", cwd=project)
    (stack,) = cloudformation.describe_stacks(StackName="cortex-local-cluster")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    rules = [
        _rule(elb, outputs, number)["Rules"][0]["RuleArn"]
        for number in range(99)  # and the one that is deployed
    ]
    with pytest.raises(elb.exceptions.TooManyRulesException):
        _rule(elb, outputs, 100)

    # The hundredth may still be changed, and one more is too much.
    (project / "predictor.py").write_text(PREDICTOR.replace("payload\n", "[payload]\n"))
    assert cortex.ok("deploy", cwd=project).startswith("updated text")
    (project / "cortex.yaml").write_text((project / "cortex.yaml").read_text().replace("name: text", "name: more"))
    done = cortex.run("deploy", cwd=project)
    assert done.returncode == 1
    assert (
        "error: cluster local: its load balancer has 100 target groups (one for each API), of 100 at most, "
        "and this deployment adds 1\n"
    ) in done.stderr
    assert "hint: delete what is not needed (cortex delete), or deploy to another cluster" in done.stderr
    for rule in rules:
        elb.delete_rule(RuleArn=rule)
    assert cortex.ok("deploy", cwd=project).startswith("created more")


def _rule(elb: Any, outputs: dict[str, str], number: int) -> Any:
    """A rule and its target group, as the stack of an API has them."""
    made = elb.create_target_group(
        Name=f"group-{number}", Protocol="HTTP", Port=8888, VpcId=outputs["VpcId"], TargetType="instance"
    )
    return elb.create_rule(
        ListenerArn=outputs["ListenerArn"],
        Priority=1 + number,
        Conditions=[{"Field": "path-pattern", "Values": [f"/made-{number}"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]}],
    )
