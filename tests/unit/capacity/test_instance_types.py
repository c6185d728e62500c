"""The table of instance types, against EC2's own description (moto carries a copy) and the rules on names."""

from __future__ import annotations

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.config.sections.instance_group import accelerator_of, is_arm


@pytest.mark.parametrize(
    ("name", "vcpus", "gib", "gpus", "chips"),
    [
        # Reference aws.md, section 8.
        ("t3.medium", 2, 4, 0, 0),
        ("m6i.large", 2, 8, 0, 0),
        ("c7i.xlarge", 4, 8, 0, 0),
        ("g4dn.xlarge", 4, 16, 1, 0),
        ("g5.12xlarge", 48, 192, 4, 0),
        ("g6e.xlarge", 4, 32, 1, 0),
        ("p3.2xlarge", 8, 61, 1, 0),
        ("inf1.xlarge", 4, 8, 0, 1),
        ("inf2.xlarge", 4, 16, 0, 1),
    ],
)
def test_known_types(name: str, vcpus: int, gib: int, gpus: int, chips: int) -> None:
    known = instance_types()[name]
    assert (known.vcpus, known.memory_mib, known.gpus, known.chips) == (vcpus, gib * 1024, gpus, chips)


def test_every_number_is_ec2s() -> None:
    both = instance_types().keys() & INSTANCE_TYPES.keys()
    assert len(both) > 1000
    for name in both:
        known, described = instance_types()[name], INSTANCE_TYPES[name]
        assert known.vcpus == described["VCpuInfo"]["DefaultVCpus"], name
        assert known.memory_mib == described["MemoryInfo"]["SizeInMiB"], name
        assert known.gpus * known.gpu_memory_mib <= described.get("GpuInfo", {}).get("TotalGpuMemoryInMiB", 0), name


def test_names_tell_architecture_and_accelerator() -> None:
    for name, known in instance_types().items():
        assert is_arm(name) == (known.architecture == "arm64"), name
        if known.gpus:
            assert accelerator_of(name) == "gpu"
        if known.chips:
            assert accelerator_of(name) == "inf"


def test_room_is_what_the_agent_and_the_system_leave() -> None:
    large = instance_types()["m6i.large"]
    assert large.cpu_units == 2048
    assert large.room_mib == 7444  # 94 % of 8192, less 256
