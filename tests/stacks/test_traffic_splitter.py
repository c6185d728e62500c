"""The template of a traffic splitter: one weighted rule, and nothing of the APIs."""

from __future__ import annotations

from pathlib import Path

import pytest
from aws_cdk.assertions import Annotations, Match, Template
from cortex_stacks.app import add_stack, make_app

from tests.stacks.matrix import PRIORITY, SPLITTERS, splitter_spec


@pytest.mark.parametrize("name", SPLITTERS)
def test_one_rule_shares_requests_out_by_weight(tmp_path: Path, name: str) -> None:
    spec = splitter_spec(name)
    stack = add_stack(make_app(str(tmp_path)), spec)
    template = Template.from_stack(stack).to_json()
    [rule] = template["Resources"].values()
    assert rule["Type"] == "AWS::ElasticLoadBalancingV2::ListenerRule"
    [action] = rule["Properties"]["Actions"]
    assert action["ForwardConfig"] == {
        "TargetGroups": [
            {"TargetGroupArn": spec.target_groups[api], "Weight": weight} for api, weight in SPLITTERS[name]
        ]
    }
    [condition] = rule["Properties"]["Conditions"]
    assert condition["PathPatternConfig"]["Values"] == [f"/{name}", f"/{name}/*"]
    assert rule["Properties"]["Priority"] == PRIORITY
    assert {key: output["Value"] for key, output in template["Outputs"].items()} == {
        "Endpoint": f"/{name}",
        "ListenerRulePriority": str(PRIORITY),
        "SpecDigest": spec.digest,
    }
    # The toolkit's --strict turns warnings into failures.
    assert Annotations.from_stack(stack).find_warning("*", Match.any_value()) == []
