"""The two kinds of entries of ``cortex.yaml``: ``RealtimeAPI`` and ``TrafficSplitter``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from cortex_serving.contract import REALTIME_API, TRAFFIC_SPLITTER
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.model import Allowed, Conflict, Section, Whole
from cortex_cdk.config.sections.autoscaling import Autoscaling
from cortex_cdk.config.sections.compute import NEURON_CORES_PER_CHIP, Compute
from cortex_cdk.config.sections.monitoring import Monitoring
from cortex_cdk.config.sections.networking import Networking
from cortex_cdk.config.sections.predictor import Predictor
from cortex_cdk.config.sections.update_strategy import UpdateStrategy

LONGEST_NAME = 42
_NAME = re.compile(rf"[a-z]([-a-z0-9]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?")


def parse_name(value: Any) -> str:
    """Check the name of an API or splitter: a DNS-1035 label of at most 42 characters (reference ``cortex.md`` 2.1).

    Args:
        value: The name.

    Returns:
        The name.

    Raises:
        ValueError: The value is no such label.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("not a name")
    return value


Name = Annotated[
    str,
    BeforeValidator(parse_name),
    Allowed(f"1 to {LONGEST_NAME} characters from a-z 0-9 -, starting with a letter and not ending with -"),
]


class RealtimeApi(Section):
    """An HTTP endpoint served by replicas of a predictor."""

    name: Name = Field(description="Name of the API, unique in the cluster.")
    kind: Literal["RealtimeAPI"] = Field(description="`RealtimeAPI`.")
    predictor: Predictor = Field(description="The user's code and its models.")
    networking: Networking = Field(default_factory=Networking, validate_default=True, description="Path of the API.")
    compute: Compute = Field(default_factory=Compute, description="CPU, memory and accelerators of each replica.")
    monitoring: Monitoring | None = Field(None, description="Prediction monitoring.")
    autoscaling: Autoscaling = Field(
        default_factory=Autoscaling, validate_default=True, description="Number of replicas."
    )
    update_strategy: UpdateStrategy = Field(default_factory=UpdateStrategy, description="Replacement of replicas.")

    @field_validator("networking")
    @classmethod
    def _default_endpoint(cls, value: Networking, info: ValidationInfo) -> Networking:
        return value.for_name(info.data["name"]) if "name" in info.data else value

    @field_validator("autoscaling")
    @classmethod
    def _default_targets(cls, value: Autoscaling, info: ValidationInfo) -> Autoscaling:
        return value.for_slots(info.data["predictor"].slots) if "predictor" in info.data else value

    def rules(self) -> Iterator[Conflict]:
        yield from self._inferentia_rules()
        target, most = self.autoscaling.target_replica_concurrency, self.autoscaling.max_replica_concurrency
        if target > most:
            fields: tuple[FieldPath, ...] = (
                ("autoscaling", "target_replica_concurrency"),
                ("autoscaling", "max_replica_concurrency"),
            )
            if "target_replica_concurrency" not in self.autoscaling.model_fields_set:
                fields += (("predictor", "processes_per_replica"), ("predictor", "threads_per_process"))
            yield Conflict(
                fields,
                f"target_replica_concurrency (by default processes * threads) is {target:g}, more than "
                f"max_replica_concurrency, which is {most}",
            )
        body, memory = self.predictor.max_body_bytes, self.compute.mem
        if body and memory and body > memory // 2:
            yield Conflict(
                (("predictor", "max_body_bytes"), ("compute", "mem")),
                f"must be at most half of compute.mem, {memory // 2} bytes: a replica holds a body and its values",
                "raise compute.mem, or have clients send a link to large files",
            )
        batching = self.predictor.server_side_batching
        if batching and batching.max_batch_size > self.autoscaling.max_replica_concurrency:
            yield Conflict(
                (("predictor", "server_side_batching", "max_batch_size"), ("autoscaling", "max_replica_concurrency")),
                f"{batching.max_batch_size} can never be reached: a replica admits max_replica_concurrency = "
                f"{self.autoscaling.max_replica_concurrency} requests at a time",
            )

    def _inferentia_rules(self) -> Iterator[Conflict]:
        if not self.compute.inf:
            return
        kind = self.predictor.kind
        if not kind.on_inferentia:
            yield Conflict(
                (("compute", "inf"), ("predictor", "type")), f"{kind.title} predictors do not run on Inferentia"
            )
        processes = self.predictor.processes_per_replica
        if NEURON_CORES_PER_CHIP % processes:
            yield Conflict(
                (("predictor", "processes_per_replica"), ("compute", "inf")),
                f"must be 1, 2 or 4, not {processes}: a chip has {NEURON_CORES_PER_CHIP} NeuronCores to divide",
            )


class Variant(Section):
    """A member of a traffic splitter."""

    name: Name = Field(
        description="Name of a Realtime API that is deployed in the cluster, or stands in the same file."
    )
    weight: Annotated[Whole, Field(ge=0, le=100)] = Field(description="Share of the requests, in percent.")


class TrafficSplitter(Section):
    """One endpoint that shares its requests out to two to five different Realtime APIs.

    Each request goes to one of the APIs at random, by their weights, which sum to 100. Each API keeps its own endpoint,
    metrics and autoscaling.
    """

    name: Name = Field(description="Name of the splitter, unique in the cluster.")
    kind: Literal["TrafficSplitter"] = Field(description="`TrafficSplitter`.")
    networking: Networking = Field(
        default_factory=Networking, validate_default=True, description="Path of the splitter."
    )
    apis: tuple[Variant, ...] = Field(description="Two to five APIs; their weights sum to 100.")

    @field_validator("networking")
    @classmethod
    def _default_endpoint(cls, value: Networking, info: ValidationInfo) -> Networking:
        return value.for_name(info.data["name"]) if "name" in info.data else value

    def rules(self) -> Iterator[Conflict]:
        # A forward action of a listener rule takes at most five target groups (ELBv2 quotas).
        if not 2 <= len(self.apis) <= 5:
            yield Conflict((("apis",),), f"must have two to five members, not {len(self.apis)}")
        counts: Counter[str] = Counter()
        for index, variant in enumerate(self.apis):
            counts[variant.name] += 1
            if counts[variant.name] == 2:
                yield Conflict(
                    (("apis", index, "name"),),
                    f"{variant.name} is already a member",
                    "give one entry the sum of the weights",
                )
            if variant.name == self.name:
                yield Conflict((("apis", index, "name"), ("name",)), "a splitter cannot be a member of itself")
        if self.networking.cors is not None:
            yield Conflict(
                (("networking", "cors"),),
                "has no effect on a traffic splitter",
                "each API that it forwards to answers by its own networking.cors",
            )
        total = sum(variant.weight for variant in self.apis)
        if total != 100:
            yield Conflict((("apis",),), f"the weights must sum to 100, not {total}")


MODELS: Mapping[str, type[RealtimeApi] | type[TrafficSplitter]] = MappingProxyType(
    {REALTIME_API: RealtimeApi, TRAFFIC_SPLITTER: TrafficSplitter}
)
"""The model of each kind."""
