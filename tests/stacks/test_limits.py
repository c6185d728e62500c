"""What ``cortex.yaml`` may hold at most still fits what AWS takes, with the longest names around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template
from cortex_stacks.app import add_stack, make_app

from cortex_cdk.config import Cluster, load_config
from cortex_cdk.errors import ConfigError
from cortex_cdk.stack_operations.change_set import MOST_TEMPLATE_BYTES, as_text
from cortex_cdk.synthesis.placeholders import placeholder_resources
from cortex_cdk.synthesis.specs import ApiStackSpec
from tests.stacks.matrix import PRIORITY, TOPIC

MOST_POLICY_CHARACTERS, MOST_TASK_DEFINITION_BYTES = 10_240, 64 * 1024
CLUSTER = {"name": "c" * 20, "alarm_topic": TOPIC, "tags": {f"{n:x>128}": "x" * 256 for n in range(20)}}
PATH = f"s3://{'b' * 63}/{'folder/' * 3}"

STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}


def entry(**predictor: Any) -> str:
    api = {
        "name": "a" * 42,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", **predictor},
        "networking": {"endpoint": f"/{'e' * 125}"},
        "monitoring": {"model_type": "classification", "key": "k" * 100},
        "autoscaling": {"target_replica_requests_per_second": 2.5, "max_replicas": 8},
        "compute": {"cpu": "1500m", "mem": "3Gi"},
    }
    return json.dumps([api])


GROWING: dict[str, Callable[[int], dict[str, Any]]] = {
    "config": lambda size: {"config": {"prompt": "x" * size}},
    "quotes": lambda size: {"config": {"prompt": '"' * size}},
    "env": lambda size: {"env": {f"V{n}": "x" for n in range(size)}},
    "models": lambda size: {"models": [{"name": f"m{n}", "model_path": f"{PATH}{n}"} for n in range(size)]},
    "iam_policies": lambda size: {"iam_policies": [{**STATEMENT, "Sid": f"s{n}"} for n in range(size)]},
    "models and iam_policies": lambda size: {
        "models": [{"name": f"m{n}", "model_path": f"{PATH}{n}"} for n in range(min(size, 10))],
        "iam_policies": [{**STATEMENT, "Sid": f"s{n}"} for n in range(size)],
    },
    "buckets": lambda size: {"models": [{"name": f"m{n}", "model_path": f"s3://bucket-{n}/{n}"} for n in range(size)]},
}


@pytest.mark.parametrize("name", GROWING)
def test_the_largest_that_is_accepted_fits(tmp_path: Path, name: str) -> None:
    methods = "def __init__(self, config, python_client=None): ...\n    def load_model(self, model_path): ..."
    source = f"class PythonPredictor:\n    {methods}\n    def predict(self, payload): ...\n"
    (tmp_path / "predictor.py").write_text(source)

    def accepted(size: int) -> bool:
        (tmp_path / "cortex.yaml").write_text(entry(**GROWING[name](size)))
        try:
            load_config(tmp_path)
        except ConfigError as error:
            assert len(error.problems) == 1
            return False
        return True

    low, high = 1, 40_000 if name in ("config", "quotes") else 2_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if accepted(middle) else (low, middle)
    assert accepted(low)
    (api,) = load_config(tmp_path).apis
    resources = placeholder_resources(Cluster.model_validate(CLUSTER))
    stack = add_stack(make_app(str(tmp_path / "out")), ApiStackSpec(cluster=resources, api=api, priority=PRIORITY))
    template = Template.from_stack(stack).to_json()
    assert len(as_text(template)) <= MOST_TEMPLATE_BYTES
    # All inline policies of the task's role count together.
    policies = [
        as_text(resource["Properties"]["PolicyDocument"])
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Policy" and "TaskAccess" in name
    ]
    # What references become: a partition, an account and a region, each longer than the reference's own text.
    assert sum(len(_resolved(policy)) for policy in policies) <= MOST_POLICY_CHARACTERS
    (task,) = _of(template, "AWS::ECS::TaskDefinition")
    assert len(as_text(task["Properties"])) + 10_000 <= MOST_TASK_DEFINITION_BYTES


def _of(template: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resource for resource in template["Resources"].values() if resource["Type"] == kind]


def _resolved(policy: str) -> str:
    """The policy as IAM counts it, with joins resolved and the longest values for references."""

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "Fn::Join" in value:
                return "".join(map(resolve, value["Fn::Join"][1]))
            if "Ref" in value or "Fn::GetAtt" in value:
                return "x" * 14
            return {key: resolve(item) for key, item in value.items()}
        return [resolve(item) for item in value] if isinstance(value, list) else value

    return json.dumps(resolve(json.loads(policy)), separators=(",", ":"))
