"""Finds updates that change the scaling of an API by values that stand nowhere in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.ecs_services import describe_service
from cortex_cdk.aws.scalable_targets import NAMESPACE, read_bounds, resource_id
from cortex_cdk.config import RealtimeApi
from cortex_cdk.deploy.plan import UPDATE, StackPlan
from cortex_cdk.errors import Finding
from cortex_cdk.synthesis.specs import ApiStackSpec

SECONDS_A_MINUTE = 60


@dataclass(frozen=True)
class Updates:
    """The plans of a deployment, and where they are carried out."""

    cloud: Cloud
    cluster: str
    plans: tuple[StackPlan, ...]


def changed_by_defaults(updates: Updates) -> Iterator[Finding]:
    """Compare the deployed scaling of APIs with the defaults that would replace it. Warns only.

    Defaults change with versions of cortex, and where a field is removed from the file. An API that has been updated
    has the defaults, so that nothing is told twice.
    """
    for api in _updated(updates.plans):
        written = api.autoscaling.model_fields_set
        if "max_replicas" not in written:
            yield from _maximum(updates, api)
        if "target_replica_requests_per_second" not in written:
            yield from _rate(updates, api)


def _updated(plans: Iterable[StackPlan]) -> Iterator[RealtimeApi]:
    for plan in plans:
        spec = plan.release.spec
        if plan.action == UPDATE and plan.synthesize and isinstance(spec, ApiStackSpec):
            yield spec.api


def _maximum(updates: Updates, api: RealtimeApi) -> Iterator[Finding]:
    ecs_cluster, name = names.ecs_cluster(updates.cluster), names.service(api.name)
    bounds = read_bounds(updates.cloud, ecs_cluster, [name]).get(name)
    scaling = api.autoscaling
    most = scaling.max_replicas
    # A maximum below what the file asks for could not be kept.
    if bounds and bounds.most != most and bounds.most >= max(scaling.min_replicas, scaling.init_replicas):
        service = describe_service(updates.cloud, updates.cluster, api.name)
        desired = service["desiredCount"] if service else 0
        removed = f", and {desired - most} of its {desired} replicas are removed" if desired > most else ""
        yield Finding(
            api.name,
            f"max_replicas becomes {most}, the default, where it was {bounds.most}{removed}: "
            f"to keep {bounds.most}, write autoscaling.max_replicas: {bounds.most}",
            fatal=False,
        )


def _rate(updates: Updates, api: RealtimeApi) -> Iterator[Finding]:
    answer = updates.cloud.application_autoscaling.describe_scaling_policies(
        ServiceNamespace=NAMESPACE,
        ResourceId=resource_id(names.ecs_cluster(updates.cluster), names.service(api.name)),
        PolicyNames=[names.REQUESTS_POLICY],
    )
    for policy in answer["ScalingPolicies"]:
        rate = policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] / SECONDS_A_MINUTE
        yield Finding(
            api.name,
            f"requests per second no longer add replicas, and {rate:g} for each replica did: to keep that, write "
            f"autoscaling.target_replica_requests_per_second: {rate:g}",
            fatal=False,
        )
