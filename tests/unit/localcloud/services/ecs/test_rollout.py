"""The decisions of the service scheduler, for any service, any percentages and any order of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cdk.localcloud.services.ecs.rollout import (
    Decision,
    Health,
    Limits,
    Replica,
    decide,
)


def replicas(*kinds: str) -> list[Replica]:
    """``new healthy``, ``old starting`` ... in order of age."""
    made = []
    for number, kind in enumerate(kinds):
        age, health = kind.split()
        made.append(Replica(f"{number}", age == "new", Health(health)))
    return made


@pytest.mark.parametrize(
    ("desired", "minimum", "maximum", "limits"),
    [
        (1, 75, 125, Limits(1, 1)),
        (1, 100, 200, Limits(1, 2)),
        (3, 50, 150, Limits(2, 4)),
        (4, 75, 100, Limits(3, 4)),
        (0, 100, 200, Limits(0, 0)),
    ],
)
def test_the_maximum_is_rounded_down_and_the_minimum_up(
    desired: int, minimum: int, maximum: int, limits: Limits
) -> None:
    assert Limits.of(desired, minimum, maximum) == limits


@pytest.mark.parametrize(
    ("desired", "limits", "present", "decision"),
    [
        pytest.param(2, Limits(2, 4), [], Decision(start=2), id="first start"),
        pytest.param(1, Limits(1, 2), ["old healthy"], Decision(start=1), id="surge before anything is stopped"),
        pytest.param(1, Limits(1, 2), ["old healthy", "new starting"], Decision(), id="wait for the new one"),
        pytest.param(1, Limits(1, 2), ["old healthy", "new healthy"], Decision(stop=("0",)), id="replaced"),
        pytest.param(1, Limits(0, 1), ["old healthy"], Decision(start=1, stop=("0",)), id="no surge: stop first"),
        pytest.param(1, Limits(1, 1), ["old healthy"], Decision(), id="nothing can move, as on ECS"),
        pytest.param(2, Limits(2, 4), ["new healthy"], Decision(start=1), id="a replica died"),
        pytest.param(1, Limits(1, 2), ["new healthy"] * 3, Decision(stop=("2", "1")), id="scale in, youngest first"),
        pytest.param(1, Limits(1, 2), ["new failing"], Decision(start=1), id="replacement before a failing one goes"),
        pytest.param(1, Limits(1, 1), ["new failing"], Decision(start=1, stop=("0",)), id="failing and no room"),
        pytest.param(1, Limits(1, 2), ["old starting"], Decision(start=1, stop=("0",)), id="never served"),
        pytest.param(0, Limits(0, 0), ["old healthy", "new starting"], Decision(stop=("1", "0")), id="down to none"),
    ],
)
def test_decisions(desired: int, limits: Limits, present: list[str], decision: Decision) -> None:
    assert decide(desired, limits, replicas(*present)) == decision


percentages = st.tuples(st.integers(0, 100), st.integers(100, 200))
WAITING = Replica("waits", True, Health.STARTING, placed=False)


@pytest.mark.parametrize(
    ("limits", "old", "decision"),
    [
        pytest.param(Limits(1, 3), 2, Decision(stop=("0",)), id="an old one makes room for one that waits"),
        pytest.param(Limits(2, 3), 2, Decision(), id="unless it is needed"),
        pytest.param(Limits(0, 1), 1, Decision(stop=("0",)), id="even the last one, where none need be healthy"),
    ],
)
def test_room_for_a_replica_that_waits_for_an_instance(limits: Limits, old: int, decision: Decision) -> None:
    present = [*replicas(*["old healthy"] * old), *[replace(WAITING, id=f"w{n}") for n in range(min(old, 1))]]
    assert decide(1, limits, present) == decision


def test_scaling_in_stops_a_replica_that_waits_before_one_that_starts() -> None:
    present = [*replicas("new healthy"), WAITING, *replicas("new starting")]
    assert decide(2, Limits(2, 4), present) == Decision(stop=("waits",))


@settings(max_examples=300)
@given(st.data(), st.integers(1, 8), percentages)
def test_a_rollout_ends_where_instances_have_no_room_for_a_surge(
    data: st.DataObject, desired: int, percent: tuple[int, int]
) -> None:
    limits = Limits.of(desired, *percent)
    present = [Replica(f"old-{n}", False, Health.HEALTHY) for n in range(desired)]
    for step in range(100):
        decision = decide(desired, limits, present)
        healthy = sum(replica.health is Health.HEALTHY for replica in present)
        present = [replica for replica in present if replica.id not in decision.stop]
        assert sum(replica.health is Health.HEALTHY for replica in present) >= min(healthy, limits.lower)
        present += [replace(WAITING, id=f"new-{step}-{n}") for n in range(decision.start)]
        room = desired - sum(replica.placed for replica in present)
        waiting = [n for n, replica in enumerate(present) if not replica.placed]
        for number in waiting[:room]:
            present[number] = replace(present[number], placed=True)
        starting = [n for n, one in enumerate(present) if one.placed and one.health is Health.STARTING]
        if starting:
            chosen = data.draw(st.sampled_from(starting))
            present[chosen] = replace(present[chosen], health=Health.HEALTHY)
    if limits.lower < desired:
        assert [(replica.current, replica.health) for replica in present] == [(True, Health.HEALTHY)] * desired
    else:
        # Not one old replica may be missing, and there is no place for a new one: the update waits, as on ECS.
        assert sum(replica.health is Health.HEALTHY for replica in present) == desired


healths = st.sampled_from(list(Health))
populations = st.lists(st.tuples(st.booleans(), healths), max_size=12).map(
    lambda kinds: [Replica(str(n), current, health) for n, (current, health) in enumerate(kinds)]
)


@given(st.integers(0, 10), percentages, populations)
def test_limits_are_kept_whatever_is_found(desired: int, percent: tuple[int, int], present: list[Replica]) -> None:
    limits = Limits.of(desired, *percent)

    decision = decide(desired, limits, present)

    stopped = [replica for replica in present if replica.id in decision.stop]
    healthy = sum(replica.health is Health.HEALTHY for replica in present)
    left = healthy - sum(replica.health is Health.HEALTHY for replica in stopped)
    assert len(stopped) == len(set(decision.stop))
    assert left >= min(healthy, limits.lower)
    after = len(present) - len(stopped) + decision.start
    assert decision.start == 0 or after <= limits.upper


@settings(max_examples=300)
@given(st.data(), st.integers(1, 8), percentages, st.integers(0, 8))
def test_a_rollout_ends_even_if_the_desired_count_changes(
    data: st.DataObject, desired: int, percent: tuple[int, int], old: int
) -> None:
    changes = data.draw(st.lists(st.integers(0, 8), max_size=3))
    present = [Replica(f"old-{n}", False, Health.HEALTHY) for n in range(old)]
    made = 0
    for step in range(200):
        if changes and step % 5 == 4:
            desired = changes.pop()
        limits = Limits.of(desired, *percent)
        decision = decide(desired, limits, present)
        present = [replica for replica in present if replica.id not in decision.stop]
        present += [Replica(f"new-{made + n}", True, Health.STARTING) for n in range(decision.start)]
        made += decision.start
        starting = [n for n, replica in enumerate(present) if replica.health is Health.STARTING]
        if starting:
            chosen = data.draw(st.sampled_from(starting))
            # One in a few never gets healthy; the scheduler has to replace it.
            health = (
                data.draw(st.sampled_from([Health.HEALTHY] * 4 + [Health.FAILING])) if step < 60 else Health.HEALTHY
            )
            present[chosen] = replace(present[chosen], health=health)
        elif not decision.start and not decision.stop and not changes:
            break
    if desired > 0 and limits.lower >= limits.upper:
        return  # ECS cannot move such a service either.
    assert [(replica.current, replica.health) for replica in present] == [(True, Health.HEALTHY)] * desired
