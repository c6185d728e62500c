"""Specifications of stacks: everything that the template of a cluster, an API or a splitter is made from.

They cross a process boundary as JSON, from the deployer to the CDK app (``synthesize``).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_pascal

from cortex_cdk import names
from cortex_cdk.capacity.fit import group_rank, largest, request_in_words, room_in_words
from cortex_cdk.config.cluster import Cluster
from cortex_cdk.config.realtime_api import RealtimeApi, TrafficSplitter
from cortex_cdk.config.sections.compute import Compute
from cortex_cdk.config.sections.instance_group import Accelerator
from cortex_cdk.errors import ClusterError, DeployError


class ProviderResource(BaseModel):
    """One instance group, as the stacks of APIs need it.

    Attributes:
        group: The group's name in ``cluster.yaml``.
        capacity_provider: Name of its ECS capacity provider.
        accelerator: Accelerator of its instances.
        instance_types: Types of its instances, in order of preference.
        max_instances: Largest number of its instances.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    capacity_provider: str
    accelerator: Accelerator
    instance_types: tuple[str, ...]
    max_instances: int


def provider_resources(cluster: Cluster) -> tuple[ProviderResource, ...]:
    """Return the instance groups of a cluster, in the order of ``cluster.yaml``."""
    return tuple(
        ProviderResource(
            group=group.name,
            capacity_provider=names.capacity_provider(cluster.name, group.name),
            accelerator=group.accelerator,
            instance_types=group.instance_types,
            max_instances=group.max_instances,
        )
        for group in cluster.instance_groups
    )


class ClusterResources(BaseModel):
    """The cluster's resources that the stacks of APIs and splitters name: literal ids, never references.

    The fields are the outputs of the cluster's stack; ``vpc_id`` is the output ``VpcId``.

    Attributes:
        cluster: The cluster's name.
        version: The version of cortex that made the stack, or changed it last; None where it does not say.
        load_balancer_full_name: The ``LoadBalancer`` dimension of its metrics: ``app/NAME/ID``.
        listener_arn: The listener that carries the rules (port 443 where the cluster has a certificate).
        base_url: Scheme and host, without a slash at the end.
        domain: The user's domain that leads to the load balancer; None where its own name is used.
        is_public: Whether everybody on the internet is let in; None where the stack does not say.
        log_retention_days: Days for which log events of APIs are kept.
        alarm_topic: ARN of the SNS topic that alarms notify, if there is one.
        permissions_boundary: ARN of the policy that bounds every role, if there is one.
        cloudformation_role: ARN of the role that CloudFormation takes, if there is one.
        tags: The user's tags for all resources. They come from the stack's tags, not from an output.
        providers: The instance groups, in the order of ``cluster.yaml``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal, populate_by_name=True)

    cluster: str
    version: str | None = None
    vpc_id: str
    ecs_cluster: str
    load_balancer_arn: str
    load_balancer_full_name: str
    listener_arn: str
    base_url: str
    domain: str | None = None
    is_public: bool | None = None
    bucket: str
    repository: str
    repository_arn: str
    repository_uri: str
    image_builder: str
    dashboard: str
    log_retention_days: int
    alarm_topic: str | None = None
    permissions_boundary: str | None = None
    cloudformation_role: str | None = None
    tags: dict[str, str] = {}
    providers: tuple[ProviderResource, ...]

    @field_validator("providers", mode="before")
    @classmethod
    def _decode(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, str]) -> ClusterResources:
        """Read the outputs of a cluster's stack.

        Args:
            outputs: Values by output key.

        Raises:
            ClusterError: An output is missing, as another version made the stack.
        """
        try:
            return cls.model_validate(dict(outputs))
        except ValidationError as error:
            missing = ", ".join(str(problem["loc"][0]) for problem in error.errors())
            raise ClusterError(
                f"the stack of the cluster lacks outputs that this version of cortex needs: {missing}",
                hint="update the cluster with: cortex cluster configure",
            ) from error

    def provider_for(self, compute: Compute) -> ProviderResource:
        """Choose the instance group for replicas: the first one of their kind with room for one.

        Replicas without an accelerator run on instances with one only if no group of plain instances has room.

        Args:
            compute: What a replica asks for.

        Raises:
            DeployError: No group has instances with that accelerator, or no instance has room.
        """
        accelerator = compute.accelerator
        ranks = {provider: group_rank(compute, provider.instance_types) for provider in self._candidates(accelerator)}
        fitting = [provider for provider, rank in ranks.items() if rank]
        if fitting:
            own_kind = [provider for provider in fitting if provider.accelerator == accelerator]
            return max(own_kind or fitting, key=ranks.__getitem__)
        if not ranks:
            raise DeployError(
                f"cluster {self.cluster} has no instance group for compute.{accelerator}",
                hint=f"add a group of {accelerator} instances to cluster.yaml and run: cortex cluster configure",
            )
        raise DeployError(
            f"no instance of cluster {self.cluster} has room for a replica that asks for {request_in_words(compute)}: "
            f"the largest is {room_in_words(largest(compute, (name for p in ranks for name in p.instance_types)))}",
            hint="ask for less in compute, or add a group of larger instances to cluster.yaml "
            "and run: cortex cluster configure",
        )

    def _candidates(self, accelerator: Accelerator) -> list[ProviderResource]:
        return [provider for provider in self.providers if accelerator in ("none", provider.accelerator)]


# Left out of digests: a cluster that grows, shrinks or gets a newer version changes no API.
_OF_THE_CLUSTER_ONLY = {
    "cluster": {"providers": {"__all__": {"max_instances"}}, "version": True, "cloudformation_role": True}
}


class _StackSpec(BaseModel):
    """Everything that a template is made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _in_no_template: ClassVar[dict[str, Any]] = {}

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change whenever the template may, and with every change of ``cortex_stacks``."""
        # In the user's order: predictors may give the order of their config a meaning.
        content = json.dumps(self.model_dump(mode="json", exclude=self._in_no_template))
        return hashlib.sha256(f"{_stacks_digest()}{content}".encode()).hexdigest()[:16]


class ClusterStackSpec(_StackSpec):
    """A cluster's stack.

    Attributes:
        cluster: The cluster's configuration.
        hosted_zone_id: The hosted zone of its domain; None where the id is not known, or there is no domain.
    """

    kind: Literal["cluster"] = "cluster"
    cluster: Cluster
    hosted_zone_id: str | None = None

    @property
    def stack_name(self) -> str:
        """The name of the stack."""
        return names.cluster_stack(self.cluster.name)


class ApiStackSpec(_StackSpec):
    """The stack of one Realtime API.

    Attributes:
        cluster: The cluster's resources.
        api: The API.
        priority: Priority of its listener rule, 1 to 50000.
        secret_arns: ARNs of the secrets that the API names, by name. Without its ARN a secret is asked for by name, and
            a name that ends like an ARN (a hyphen and six characters) would not be found.
    """

    _in_no_template: ClassVar[dict[str, Any]] = _OF_THE_CLUSTER_ONLY
    kind: Literal["api"] = "api"
    cluster: ClusterResources
    api: RealtimeApi
    priority: Annotated[int, Field(ge=1, le=50_000)]
    secret_arns: dict[str, str] = {}

    @property
    def stack_name(self) -> str:
        """The name of the stack."""
        return names.api_stack(self.cluster.cluster, self.api.name)

    @property
    def resource(self) -> RealtimeApi:
        """The API."""
        return self.api

    @property
    def provider(self) -> ProviderResource:
        """The instance group that runs the replicas.

        Raises:
            DeployError: No group has room for a replica.
        """
        return self.cluster.provider_for(self.api.compute)


class SplitterStackSpec(_StackSpec):
    """The stack of one traffic splitter.

    Attributes:
        cluster: The cluster's resources.
        splitter: The splitter.
        priority: Priority of its listener rule, 1 to 50000.
        target_groups: ARNs of the members' target groups, by member.
    """

    _in_no_template: ClassVar[dict[str, Any]] = _OF_THE_CLUSTER_ONLY
    kind: Literal["splitter"] = "splitter"
    cluster: ClusterResources
    splitter: TrafficSplitter
    priority: Annotated[int, Field(ge=1, le=50_000)]
    target_groups: dict[str, str]

    @property
    def stack_name(self) -> str:
        """The name of the stack."""
        return names.splitter_stack(self.cluster.cluster, self.splitter.name)

    @property
    def resource(self) -> TrafficSplitter:
        """The splitter."""
        return self.splitter


StackSpec = Annotated[ClusterStackSpec | ApiStackSpec | SplitterStackSpec, Field(discriminator="kind")]


class SynthesisRequest(BaseModel):
    """The stacks to synthesize in one go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stacks: tuple[StackSpec, ...]


def stacks_folder() -> Path:
    """Return the folder of the CDK app's package.

    Raises:
        DeployError: The package is not installed.
    """
    spec = importlib.util.find_spec("cortex_stacks")
    if not spec or not spec.submodule_search_locations:
        raise DeployError("the package 'cortex_stacks' is not installed", hint="install cortex-cdk again")
    return Path(next(iter(spec.submodule_search_locations)))


@functools.cache
def _stacks_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(stacks_folder().rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
