"""The ``instance_groups`` of a cluster: the EC2 instances that replicas run on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from cortex_cdk.config.model import Allowed, Conflict, Number, Section, Shown, Whole, or_written_as

Accelerator = Literal["none", "gpu", "inf"]

_GROUP_NAME = re.compile(r"[a-z]([-a-z0-9]{0,22}[a-z0-9])?")
_TYPE = re.compile(r"([a-z]+[a-z0-9]*?)([0-9]+)([a-z][a-z0-9-]*|-[a-z0-9]+)?\.([a-z0-9-]+)")
# Too small for the ECS agent and a replica (Cortex refuses them too).
_TOO_SMALL = ("nano", "micro")
# Bounds of a volume's IOPS: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html
_MOST_IOPS_PER_GIB = {"gp3": 500, "io1": 50, "io2": 500}
_FEWEST_IOPS = {"gp3": 3000, "io1": 100, "io2": 100}
_PROVISIONED = ("io1", "io2")
# MiB/s of gp3: 125 are in its price; more needs IOPS, and images of several GB are written at this speed.
# https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type
FREE_GP3_THROUGHPUT = 125
_DEFAULT_GP3_THROUGHPUT = 250
_MOST_GP3_THROUGHPUT = 2000
_GP3_IOPS_PER_MIB = 4
_DEFAULT_PROVISIONED_IOPS = 3000
# The root snapshot of the ECS-optimized AMIs (amazon-ecs-ami, variables.pkr.hcl, block_device_size_gb). EC2 launches no
# instance with a smaller volume: "InvalidBlockDeviceMapping: Volume of size 20GB is smaller than snapshot".
SMALLEST_ROOT_VOLUME_GIB = 30


def _parts(instance_type: str) -> re.Match[str] | None:
    return _TYPE.fullmatch(instance_type)


def accelerator_of(instance_type: str) -> Accelerator:
    """Return the accelerator of an instance type: NVIDIA GPUs (families g, gr, p), AWS chips (inf, trn), or none."""
    parts = _parts(instance_type)
    family = parts[1] if parts else ""
    if family in ("g", "gr", "p"):
        return "gpu"
    return "inf" if family in ("inf", "trn") else "none"


def is_arm(instance_type: str) -> bool:
    """Return whether an instance type has ARM processors (a ``g`` after the generation, such as m7g; and a1)."""
    parts = _parts(instance_type)
    return parts is not None and (parts[1] + parts[2] == "a1" or "g" in (parts[3] or ""))


def _group_name(value: Any) -> str:
    if not isinstance(value, str) or not _GROUP_NAME.fullmatch(value):
        raise ValueError("not the name of a group")
    return value


def _instance_type(value: Any) -> str:
    if not isinstance(value, str) or not _parts(value) or is_arm(value) or value.endswith(_TOO_SMALL):
        raise ValueError("not an instance type that can be used")
    return value


InstanceType = Annotated[
    str,
    BeforeValidator(_instance_type),
    Allowed(
        "an EC2 instance type such as m7i-flex.large or g4dn.xlarge; "
        "ARM (Graviton), nano and micro types cannot be used"
    ),
]


class Volume(Section):
    """The root volume of each instance, which holds images and the models on disk."""

    size: Annotated[Whole, Field(ge=SMALLEST_ROOT_VOLUME_GIB, le=16384)] = Field(
        50, description="Size in GiB; the images of the instances need 30."
    )
    type: Literal["gp3", "gp2", "io1", "io2"] = Field("gp3", description="EBS volume type.")
    iops: Annotated[Annotated[Whole, Field(ge=100, le=64000)] | None, Shown("3000 for io1, io2 and gp3")] = Field(
        None, description="Provisioned input and output operations per second."
    )

    throughput: Annotated[
        Annotated[Whole, Field(ge=FREE_GP3_THROUGHPUT, le=_MOST_GP3_THROUGHPUT)] | None, Shown("250 for gp3")
    ] = Field(
        None, description="Provisioned MiB each second (gp3 only): images of several GB are written at this speed."
    )

    @property
    def provisioned_throughput(self) -> int | None:
        """Throughput in MiB/s to ask for; None where the type has its own."""
        return self.throughput or (_DEFAULT_GP3_THROUGHPUT if self.type == "gp3" else None)

    @property
    def provisioned_iops(self) -> int | None:
        """IOPS to ask EBS for; None for volume types that have fixed ones."""
        return self.iops or (_DEFAULT_PROVISIONED_IOPS if self.type in _PROVISIONED else None)

    def rules(self) -> Iterator[Conflict]:
        yield from self._throughput_rules()
        if self.iops is not None and self.type not in _MOST_IOPS_PER_GIB:
            message = f"cannot be chosen for {self.type} volumes"
            yield Conflict((("iops",), ("type",)), message, "remove iops, or use gp3")
            return
        iops = self.provisioned_iops
        if iops is not None and not _FEWEST_IOPS[self.type] <= iops <= _MOST_IOPS_PER_GIB[self.type] * self.size:
            most = _MOST_IOPS_PER_GIB[self.type] * self.size
            bounds = f"from {_FEWEST_IOPS[self.type]} to {most} for {self.size} GiB of {self.type}"
            yield Conflict((("iops",), ("size",), ("type",)), f"IOPS must be {bounds}, not {iops}")

    def _throughput_rules(self) -> Iterator[Conflict]:
        if self.throughput is None:
            return
        if self.type != "gp3":
            message = f"cannot be chosen for {self.type} volumes"
            yield Conflict((("throughput",), ("type",)), message, "remove it, or use gp3")
        elif self.throughput * _GP3_IOPS_PER_MIB > (self.iops or _FEWEST_IOPS["gp3"]):
            needed = self.throughput * _GP3_IOPS_PER_MIB
            yield Conflict(
                (("throughput",), ("iops",)), f"{self.throughput} MiB/s need {needed} IOPS", f"set iops: {needed}"
            )


class Spot(Section):
    """Spare capacity of AWS at a lower price, which AWS can take back with two minutes' notice."""

    on_demand_base: Annotated[Whole, Field(ge=0)] = Field(0, description="Instances that are always on-demand.")
    on_demand_percentage: Annotated[Whole, Field(ge=0, le=100)] = Field(
        0, description="Share of on-demand instances above the base, in percent."
    )
    max_price: Annotated[Annotated[Number, Field(gt=0)] | None, Shown("the on-demand price")] = Field(
        None, description="Highest price of an instance hour, in USD."
    )


class InstanceGroup(Section):
    """Instances of one kind: an Auto Scaling group and its capacity provider, which adds and removes them on demand."""

    name: Annotated[
        str,
        BeforeValidator(_group_name),
        Allowed("1 to 24 characters from a-z 0-9 -, starting with a letter and not ending with -"),
    ] = Field(description="Name of the group, unique in the cluster.")
    instance_types: tuple[InstanceType, ...] = Field(
        description="Instance types in order of preference, with the same kind of accelerator."
    )
    min_instances: Annotated[Whole, Field(ge=0)] = Field(
        0, description="Fewest instances. With 0, an unused group costs nothing."
    )
    max_instances: Annotated[Whole, Field(ge=1)] = Field(5, description="Most instances.")
    volume: Volume = Field(default_factory=Volume, description="Root volume of each instance.")
    spot: Annotated[Spot | None, Allowed("true, false, or a map")] = Field(
        None,
        description="Use spot instances. `true` means only spot instances.",
        json_schema_extra=or_written_as("boolean"),
    )

    @field_validator("spot", mode="before")
    @classmethod
    def _flag_is_map(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {} if value else None
        return value

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator of the group's instances."""
        return accelerator_of(self.instance_types[0])

    @property
    def gpu(self) -> bool:
        """Whether the group's instances have GPUs."""
        return self.accelerator == "gpu"

    def rules(self) -> Iterator[Conflict]:
        if not self.instance_types:
            yield Conflict((("instance_types",),), "must name at least one instance type")
        counts: Counter[str] = Counter()
        for index, name in enumerate(self.instance_types):
            counts[name] += 1
            if counts[name] == 2:
                yield Conflict((("instance_types", index),), f"{name} is named already")
            if accelerator_of(name) != self.accelerator:
                yield Conflict(
                    (("instance_types", index),),
                    f"{name} and {self.instance_types[0]} do not have the same kind of accelerator",
                    "make another group for it",
                )
        if self.min_instances > self.max_instances:
            fields = (("min_instances",), ("max_instances",))
            yield Conflict(fields, f"{self.min_instances} is more than max_instances, which is {self.max_instances}")
        if self.spot and self.spot.on_demand_base > self.max_instances:
            yield Conflict(
                (("spot", "on_demand_base"), ("max_instances",)),
                f"{self.spot.on_demand_base} is more than max_instances, which is {self.max_instances}",
            )
