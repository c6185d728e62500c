"""The instance of the local cloud is no larger than this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.capacity.fit import largest_within
from cortex_cdk.capacity.machine import Machine, this_machine


@pytest.mark.parametrize(
    ("cores", "memory_mib", "name"),
    [
        (2, 24_000, "r6i.large"),
        (4, 15_800, "t3.xlarge"),
        (8, 7_900, "c6i.xlarge"),
        (8, 15_800, "c6i.2xlarge"),
        (12, 64_000, "r6i.2xlarge"),
        (1, 900, "t3.small"),
    ],
)
def test_the_largest_type_that_is_no_larger(cores: int, memory_mib: int, name: str) -> None:
    assert largest_within(Machine(cores, memory_mib)).name == name


@given(st.integers(2, 256), st.integers(2048, 4_000_000))
def test_replicas_never_get_more_than_there_is(cores: int, memory_mib: int) -> None:
    chosen = largest_within(Machine(cores, memory_mib))
    assert chosen.vcpus <= cores
    assert chosen.room_mib <= memory_mib
    assert not chosen.gpus


def test_this_machine_has_something() -> None:
    found = this_machine()
    assert found.cores >= 1
    assert found.memory_mib > 256
