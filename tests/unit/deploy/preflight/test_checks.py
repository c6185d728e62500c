"""What stands in the way of a deployment, by what the cluster has: names, endpoints, members, running operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Cluster, Config, RealtimeApi, TrafficSplitter
from cortex_cdk.deploy.deployment import Deployment, Target, Wanted
from cortex_cdk.deploy.listener_rules import Rule
from cortex_cdk.deploy.plan import Release
from cortex_cdk.deploy.preflight.checks import CHECKS, check
from cortex_cdk.errors import PreflightError
from cortex_cdk.names import Output
from cortex_cdk.stack_operations.stack import StackState
from cortex_cdk.synthesis.placeholders import placeholder_resources
from cortex_cdk.synthesis.specs import ApiStackSpec

RESOURCES = placeholder_resources(Cluster.model_validate({"name": "demo"}))
NOW = datetime.now(timezone.utc)
IMAGE = "111111111111.dkr.ecr.us-east-1.amazonaws.com/cortex-demo@sha256:" + "0" * 64


def api(name: str, endpoint: str = "", **settings: Any) -> RealtimeApi:
    networking = {"networking": {"endpoint": endpoint or f"/{name}"}}
    predictor = {"type": "python", "path": "predictor.py"}
    document = {"name": name, "kind": "RealtimeAPI", "predictor": predictor, **networking, **settings}
    return RealtimeApi.model_validate(document)


def splitter(name: str, *members: str, endpoint: str = "") -> TrafficSplitter:
    apis = [{"name": member, "weight": 50} for member in members]
    networking = {"endpoint": endpoint or f"/{name}"}
    return TrafficSplitter.model_validate(
        {"name": name, "kind": "TrafficSplitter", "apis": apis, "networking": networking}
    )


def stack(name: str, status: str = "UPDATE_COMPLETE", priority: int | None = None, cluster: str = "demo") -> StackState:
    outputs = {Output.LISTENER_RULE_PRIORITY: str(priority)} if priority else {}
    if name.startswith("api-") and priority:
        outputs[Output.TARGET_GROUP_ARN] = f"arn:{name}"
    tags = {"cortex:cluster": cluster}
    return StackState(f"cortex-demo-{name}", f"id-{name}", status, "", {}, outputs, tags, NOW, NOW)


def deployment(
    *resources: RealtimeApi | TrafficSplitter,
    stacks: tuple[StackState, ...] = (),
    rules: Mapping[str, int] | None = None,
    force: bool = False,
    image: str | None = IMAGE,
    waits: bool = True,
) -> Deployment:
    """What is wanted of a cluster that has these stacks, and these rules: priorities by endpoint."""
    there = {stack.name: stack for stack in stacks}
    apis = tuple(one for one in resources if isinstance(one, RealtimeApi))
    splitters = tuple(one for one in resources if isinstance(one, TrafficSplitter))
    config = Config(Path("cortex.yaml"), Path(), apis, splitters, ())

    def target(resource: RealtimeApi | TrafficSplitter, name: str) -> Target:
        return Target(resource, name, there.get(name), there.get(name), force=force)

    return Deployment(
        cloud=Cloud.without_account("us-east-1", "http://127.0.0.1:9"),
        cluster=RunningCluster("demo", "test", RESOURCES, RESOURCES.base_url),
        wanted=Wanted(config, "digest", {one.name: image for one in apis}, force, waits=waits),
        apis=tuple(target(one, f"cortex-demo-api-{one.name}") for one in apis),
        splitters=tuple(target(one, f"cortex-demo-split-{one.name}") for one in splitters),
        stacks=there,
        rules=tuple(Rule(endpoint, priority) for endpoint, priority in (rules or {}).items()),
    )


def found(subject: Deployment) -> list[str]:
    try:
        assert check(subject) == ()
    except PreflightError as error:
        return [str(finding) for finding in error.findings]
    return []


def test_everything_is_told_at_once() -> None:
    subject = deployment(
        api("half"),
        api("text", endpoint="/good"),
        splitter("other", "good", "gone", endpoint="/part"),
        stacks=(stack("split-half", priority=5), stack("api-good", priority=7), stack("api-other", priority=8)),
        rules={"/half": 5, "/good": 7, "/other": 8},
    )
    assert found(subject) == [
        "half: a traffic splitter of this cluster has that name",
        "other: an API of this cluster has that name",
        "text: the endpoint /good is taken by the API good",
        "other: gone is not deployed",
    ]


def test_a_new_api_on_an_empty_cluster_is_welcome() -> None:
    assert found(deployment(api("text"), api("more"), splitter("both", "text", "more"))) == []


def test_a_splitter_needs_its_apis_where_nobody_waits_for_them() -> None:
    there = (stack("api-text", priority=7), stack("api-old", priority=8))
    rules = {"/text": 7, "/old": 8}
    both = splitter("both", "text", "old")
    assert found(deployment(api("text"), both, stacks=there, rules=rules, waits=False)) == []
    late = found(deployment(api("more"), splitter("both", "text", "more"), stacks=there, rules=rules, waits=False))
    assert late == [
        "both: more must answer before a traffic splitter can send requests there, and --no-wait does not wait for that"
    ]


def test_a_stack_of_another_cluster_is_left_alone() -> None:
    subject = deployment(api("text"), stacks=(stack("api-text", cluster="demo-api"),))
    assert found(subject) == ["text: its stack would be cortex-demo-api-text, which cluster demo-api has"]


def test_a_cluster_that_is_open_to_everybody_is_named_once() -> None:
    subject = deployment(api("text"), api("more"))
    resources = RESOURCES.model_copy(update={"is_public": True})
    clear, asked = check(replace(subject, cluster=replace(subject.cluster, resources=resources)))
    assert str(clear).startswith("cluster demo: everybody on the internet can reach the cluster, and requests are not")
    assert str(asked).startswith("cluster demo: everybody on the internet can send requests to text, more: ")
    assert not clear.fatal
    assert not asked.fatal


def test_members_that_are_no_apis() -> None:
    subject = deployment(
        splitter("part", "half", "gone"), stacks=(stack("split-half", priority=5),), rules={"/half": 5}
    )
    assert found(subject) == ["part: half is a traffic splitter", "part: gone is not deployed"]


def test_what_is_deployed_together_may_exchange_endpoints_and_a_splitter_takes_what_an_api_leaves() -> None:
    stacks = (stack("api-a", priority=49_300), stack("api-b", priority=49_301))
    rules = {"/a": 49_300, "/b": 49_301}
    assert found(deployment(api("a", "/b"), api("b", "/a"), stacks=stacks, rules=rules)) == []
    shared = splitter("shared", "a", "b", endpoint="/a")
    assert found(deployment(api("a", "/moved"), api("b"), shared, stacks=stacks, rules=rules)) == []
    assert found(deployment(shared, stacks=stacks, rules=rules)) == [
        "shared: the endpoint /a is taken by the API a",
    ]


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_another_operation_is_respected_unless_forced(status: str) -> None:
    running = stack("api-text", status, priority=49_500)
    assert found(deployment(api("text"), stacks=(running,), rules={"/text": 49_500})) == [
        f"text: another operation is changing it ({status})"
    ]
    assert found(deployment(api("text"), stacks=(running,), rules={"/text": 49_500}, force=True)) == []


def test_an_operation_that_leads_to_the_same_is_joined() -> None:
    release = Release(ApiStackSpec(cluster=RESOURCES, api=api("text"), priority=49_500), "digest", IMAGE)
    running = stack("api-text", "UPDATE_IN_PROGRESS", priority=49_500)
    running = replace(
        running,
        outputs={**running.outputs, "SpecDigest": release.spec.digest},
        parameters={"Revision": release.revision},
    )
    rules = {"/text": 49_500}
    assert found(deployment(api("text"), stacks=(running,), rules=rules)) == []
    other = ["text: another operation is changing it (UPDATE_IN_PROGRESS)"]
    assert found(deployment(api("text", compute={"mem": "1Gi"}), stacks=(running,), rules=rules)) == other
    # An image that has to be built first is in no deployment that runs already.
    assert found(deployment(api("text"), stacks=(running,), rules=rules, image=None)) == other


def test_every_check_is_in_the_list() -> None:
    folder = Path(__file__).parents[4] / "cortex_cdk/deploy/preflight"
    written = [line for file in folder.glob("*.py") for line in file.read_text().splitlines()]
    assert len(CHECKS) == sum(line.startswith("def check_") for line in written)
