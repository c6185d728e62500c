"""What a deployment would do, decided from what is wanted and what is deployed."""

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.aws.scalable_targets import Bounds
from cortex_cdk.config import RealtimeApi, load_config
from cortex_cdk.config.cluster import Cluster
from cortex_cdk.deploy.fewer_replicas import fewer_replicas
from cortex_cdk.deploy.plan import CREATE, JOIN, NOTHING, UPDATE, Release, StackPlan, plan_stack, revision_of
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.recovery import Recovery
from cortex_cdk.stack_operations.stack import StackState
from cortex_cdk.synthesis.specs import ApiStackSpec, ClusterResources, provider_resources
from tests.conftest import ROOT

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/cortex-main@sha256:" + "0" * 64
DIGEST = "d" * 64
CLUSTER = ClusterResources(
    cluster="main",
    vpc_id="vpc-1",
    ecs_cluster="cortex-main",
    load_balancer_arn="arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/main/1",
    load_balancer_full_name="app/main/1",
    listener_arn="arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/main/1/2",
    base_url="http://main.example",
    bucket="bucket",
    repository="cortex-main",
    repository_arn="arn:aws:ecr:us-east-1:123456789012:repository/cortex-main",
    repository_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/cortex-main",
    image_builder="cortex-main-image-builder",
    dashboard="cortex-main",
    log_retention_days=30,
    providers=provider_resources(Cluster.default("main", "us-east-1")),
)


@pytest.fixture(scope="module")
def iris() -> RealtimeApi:
    return load_config(ROOT / "examples/iris-classifier").apis[0]


def spec_of(api: RealtimeApi, priority: int = 100) -> ApiStackSpec:
    return ApiStackSpec(cluster=CLUSTER, api=api, priority=priority)


def deployed_from(plan: StackPlan) -> StackState:
    spec = plan.release.spec
    return StackState(
        name=spec.stack_name,
        id="id",
        status="CREATE_COMPLETE",
        reason="",
        parameters=plan.parameters,
        outputs={"SpecDigest": spec.digest, "ListenerRulePriority": str(spec.priority)},
        tags={},
        created=datetime.now(timezone.utc),
        updated=datetime.now(timezone.utc),
    )


def plan_of(
    api: RealtimeApi,
    deployed: StackState | None = None,
    digest: str = DIGEST,
    image: str = IMAGE,
    desired: int | None = None,
    force: bool = False,
) -> StackPlan:
    return plan_stack(Release(spec_of(api), digest, image), deployed, desired=desired, force=force)


def change(api: RealtimeApi, section: str, **fields: Any) -> RealtimeApi:
    return api.model_copy(update={section: getattr(api, section).model_copy(update=fields)})


def test_what_is_not_there_is_created_with_the_first_number_of_replicas(iris: RealtimeApi) -> None:
    plan = plan_of(change(iris, "autoscaling", init_replicas=3))
    assert (plan.action, plan.synthesize) == (CREATE, True)
    assert plan.parameters["InitialReplicas"] == "3"
    after = plan_of(iris, deployed_from(plan))
    assert after.knows_initial_replicas
    assert after.parameters["InitialReplicas"] == ""
    assert not plan_of(iris, deployed_from(after)).knows_initial_replicas


def test_one_replica_is_what_ecs_begins_with(iris: RealtimeApi) -> None:
    assert plan_of(iris).parameters["InitialReplicas"] == ""


def test_the_same_again_changes_nothing(iris: RealtimeApi) -> None:
    plan = plan_of(iris, deployed_from(plan_of(iris)), desired=4)
    assert (plan.action, plan.synthesize) == (NOTHING, False)


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"])
def test_what_is_on_its_way_is_waited_for_and_nothing_else(iris: RealtimeApi, status: str) -> None:
    underway = replace(deployed_from(plan_of(iris)), status=status)
    plan = plan_of(iris, underway)
    assert (plan.action, plan.synthesize, plan.changes) == (JOIN, False, False)
    assert plan.release.is_deployed_as(underway)
    for changed in (change(iris, "autoscaling", max_replicas=50), change(iris, "predictor", config={"a": 1})):
        with pytest.raises(DeployError, match="is being changed by another operation"):
            plan_of(changed, underway)
        assert not plan_of(changed).release.is_deployed_as(underway)


@pytest.mark.parametrize(
    ("status", "action", "recovery"),
    [
        ("CREATE_COMPLETE", NOTHING, None),
        ("UPDATE_ROLLBACK_COMPLETE", NOTHING, None),
        ("ROLLBACK_COMPLETE", CREATE, Recovery.REMOVE),
        ("ROLLBACK_FAILED", CREATE, Recovery.REMOVE),
        ("CREATE_FAILED", CREATE, Recovery.REMOVE),
        ("DELETE_FAILED", CREATE, Recovery.REMOVE),
        ("REVIEW_IN_PROGRESS", CREATE, Recovery.REMOVE),
        ("UPDATE_ROLLBACK_FAILED", UPDATE, Recovery.CONTINUE_ROLLBACK),
        ("CREATE_IN_PROGRESS", CREATE, Recovery.GIVE_UP_CREATION),
        ("UPDATE_IN_PROGRESS", UPDATE, Recovery.GIVE_UP_UPDATE),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", UPDATE, Recovery.WAIT),
        ("UPDATE_ROLLBACK_IN_PROGRESS", UPDATE, Recovery.END_ROLLBACK),
        ("DELETE_IN_PROGRESS", UPDATE, Recovery.WAIT),
    ],
)
def test_the_plan_names_the_way_out_of_every_state(
    iris: RealtimeApi, status: str, action: str, recovery: Recovery | None
) -> None:
    iris = change(iris, "autoscaling", init_replicas=3)
    plan = plan_of(iris, replace(deployed_from(plan_of(iris)), status=status), desired=2, force=True)
    assert (plan.action, plan.recovery) == (action, recovery)
    if recovery:
        assert plan.synthesize, "what the recovery leaves is not known yet, so the template must be ready"
    assert plan.parameters["InitialReplicas"] == ("3" if action == CREATE else "")


@pytest.mark.parametrize("changed", [{"digest": "e" * 64}, {"image": IMAGE.replace("0", "1")}])
def test_new_code_or_dependencies_keep_the_template_and_the_number_of_replicas(
    iris: RealtimeApi, changed: dict[str, Any]
) -> None:
    before = plan_of(iris)
    plan = plan_of(iris, deployed_from(before), **changed)
    assert (plan.action, plan.synthesize) == (UPDATE, False)
    assert plan.release.revision != before.release.revision
    assert plan.parameters["InitialReplicas"] == ""


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("autoscaling", {"max_replicas": 50}),
        ("autoscaling", {"target_replica_concurrency": 3.0}),
        ("networking", {"endpoint": "/elsewhere"}),
        ("update_strategy", {"max_surge": 0}),
    ],
)
def test_scaling_networking_and_strategy_keep_the_revision_so_no_replica_restarts(
    iris: RealtimeApi, section: str, fields: dict[str, Any]
) -> None:
    before = plan_of(iris)
    plan = plan_of(change(iris, section, **fields), deployed_from(before))
    assert (plan.action, plan.synthesize) == (UPDATE, True)
    assert plan.release.revision == before.release.revision


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("predictor", {"config": {"max_iterations": 1}}),
        ("predictor", {"env": {"A": "b"}}),
        ("predictor", {"threads_per_process": 2}),
        ("compute", {"cpu": 2.0}),
        ("autoscaling", {"max_replica_concurrency": 7}),
    ],
)
def test_what_reaches_the_replicas_makes_a_new_revision(
    iris: RealtimeApi, section: str, fields: dict[str, Any]
) -> None:
    assert plan_of(change(iris, section, **fields)).release.revision != plan_of(iris).release.revision


def test_replicas_know_where_their_api_answers_from_their_revision_on(iris: RealtimeApi) -> None:
    before = plan_of(iris)
    assert before.parameters["ReplicaEndpoint"] == "/iris-classifier"
    moved = change(iris, "networking", endpoint="/elsewhere")
    assert plan_of(moved, deployed_from(before)).parameters["ReplicaEndpoint"] == "/iris-classifier"
    assert plan_of(moved, deployed_from(before), digest="e" * 64).parameters["ReplicaEndpoint"] == "/elsewhere"


@given(desired=st.integers(0, 100))
def test_percentages_are_those_of_the_replicas_that_there_are_when_they_are_replaced(desired: int) -> None:
    """A new minimum comes later: percentages for five replicas would leave two of them no room to be replaced."""
    api = load_config(ROOT / "examples/iris-classifier").apis[0]
    plan = plan_of(api, deployed_from(plan_of(api)), digest="e" * 64, desired=desired)
    expected = api.update_strategy.percentages(desired)
    assert plan.parameters["MinimumHealthyPercent"] == str(expected.minimum_healthy)
    assert plan.parameters["MaximumPercent"] == str(expected.maximum)


def test_a_revision_is_the_same_on_every_machine(iris: RealtimeApi) -> None:
    assert revision_of(iris, DIGEST, IMAGE) == revision_of(iris.model_copy(deep=True), DIGEST, IMAGE)
    assert len(revision_of(iris, DIGEST, IMAGE)) == 12


@pytest.mark.parametrize(
    ("wanted", "deployed", "desired", "running", "count"),
    [
        ((1, 2), (12, 20), 12, 2, 2),
        ((1, 20), (12, 20), 12, 5, 5),
        ((1, 20), (12, 20), 12, 0, 1),
        ((6, 20), (12, 20), 12, 5, 6),
        ((1, 2), (1, 20), 9, 9, 2),
        # Traffic asked for them, not the minimum.
        ((1, 20), (2, 20), 12, 5, None),
        ((12, 20), (12, 20), 12, 2, None),
        ((1, 20), (12, 20), 12, 12, None),
        ((15, 20), (12, 20), 12, 2, None),
    ],
)
def test_a_lower_number_of_replicas_comes_first(
    iris: RealtimeApi,
    wanted: tuple[int, int],
    deployed: tuple[int, int],
    desired: int,
    running: int,
    count: int | None,
) -> None:
    scaling = change(iris, "autoscaling", min_replicas=wanted[0], max_replicas=wanted[1]).autoscaling
    assert fewer_replicas(scaling, Bounds(*deployed), desired=desired, running=running) == count
