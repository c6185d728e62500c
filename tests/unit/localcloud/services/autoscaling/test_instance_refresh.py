"""How an instance refresh goes on, for any group and preferences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.localcloud.services.autoscaling.instance_refresh import (
    InstanceRefresh,
    Member,
    Preferences,
    next_step,
)

ONE_MORE = Preferences(minimum=100, maximum=101, protected="Refresh")
"""What ``cortex cluster refresh`` asks for: a new instance comes before an old one goes."""


def rounds(refresh: InstanceRefresh, desired: int, delays: list[int]) -> Iterator[list[Member]]:
    """The instances of a group, round by round, until the refresh is done.

    Args:
        refresh: The refresh.
        desired: How many instances the group has without the refresh.
        delays: Rounds that a new instance takes to be ready, and that an old one takes to go, in turns.
    """
    members = [Member(one, ready=True, protected=True) for one in refresh.old]
    since: dict[str, int] = {}
    for number in range(1000):
        yield members
        step = next_step(refresh, members, desired)
        if step.done:
            return
        members = [replace(one, leaving=one.leaving or one.id in step.leave) for one in members]
        staying = sum(not one.leaving for one in members)
        members += [Member(f"new-{number}-{n}", ready=False) for n in range(desired + step.spare - staying)]
        for one in list(members):
            since.setdefault(one.id + str(one.leaving), number)
            if number - since[one.id + str(one.leaving)] >= delays[number % len(delays)]:
                members.remove(one)
                members += [] if one.leaving else [replace(one, ready=True)]
    raise AssertionError("the refresh does not end")


@given(st.integers(1, 12), st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_a_new_instance_is_ready_before_one_goes_and_one_goes_at_a_time(desired: int, delays: list[int]) -> None:
    refresh = InstanceRefresh("cpu", ONE_MORE, tuple(f"old-{n}" for n in range(desired)))
    for members in rounds(refresh, desired, delays):
        assert sum(one.ready and not one.leaving for one in members) >= desired
        assert len(members) <= desired + 1
        assert sum(one.leaving for one in members) <= 1
    assert len(members) == desired
    assert not {one.id for one in members} & set(refresh.old)


@pytest.mark.parametrize(
    ("maximum", "desired", "spare"), [(200, 1, 1), (150, 2, 1), (133, 3, 1), (110, 10, 1), (101, 12, 1), (150, 4, 2)]
)
def test_the_share_of_new_instances_is_rounded_up(maximum: int, desired: int, spare: int) -> None:
    assert Preferences(minimum=100, maximum=maximum).spare(desired) == spare


def test_below_a_hundred_percent_an_old_instance_goes_first() -> None:
    refresh = InstanceRefresh("cpu", Preferences(protected="Refresh"), ("i-1", "i-2"))
    both = [Member("i-1", ready=True), Member("i-2", ready=True)]
    assert next_step(refresh, both, 2).leave == ("i-1",)
    replaced = [Member("i-2", ready=True), Member("i-3", ready=False)]
    assert not next_step(refresh, replaced, 2).leave, "the successor of i-1 is not ready yet"


def test_protected_instances_are_waited_for_unless_they_are_to_be_replaced() -> None:
    members = [Member("i-1", ready=True, protected=True), Member("i-2", ready=True)]
    waits = InstanceRefresh("cpu", Preferences(minimum=100, maximum=200), ("i-1",))
    assert next_step(waits, members, 1).blocked
    assert next_step(replace(waits, preferences=replace(waits.preferences, protected="Refresh")), members, 1).leave
