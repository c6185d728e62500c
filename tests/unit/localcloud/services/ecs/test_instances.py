"""Where tasks are placed and how many instances a group has, for any tasks and instances."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.localcloud.services.ecs.instances.managed_scaling import (
    SCALE_IN_AFTER,
    Bounds,
    Departure,
    Member,
    departure,
    desired,
    has_spare,
    needed,
    reservation,
)
from cortex_cdk.localcloud.services.ecs.instances.placement import (
    Demand,
    Instance,
    Share,
    choose,
    obstacle,
    provider_for,
)
from cortex_cdk.localcloud.services.ecs.instances.task_resources import Resources, of_type

ROOMY = Resources(cpu=2048, memory=4096, gpus=1)
SPREAD_AND_PACK = (("spread", "attribute:ecs.availability-zone"), ("binpack", "memory"))

sizes = st.builds(Resources, cpu=st.integers(0, 2048), memory=st.integers(1, 4096), gpus=st.integers(0, 2))
demands = st.builds(
    Demand,
    resources=sizes,
    group=st.sampled_from(["service:a", "service:b"]),
    apart=st.booleans(),
    provider=st.sampled_from([None, "cpu", "gpu"]),
    strategies=st.sampled_from([(), SPREAD_AND_PACK, (("binpack", "cpu"),), (("spread", "instanceId"),)]),
)
free = st.builds(Resources, cpu=st.integers(0, 4096), memory=st.integers(0, 8192), gpus=st.integers(0, 4))
fleets = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), free, st.sampled_from(["cpu", "gpu"]), st.booleans()), max_size=6
).map(
    lambda made: [
        Instance(f"i-{n}", zone, room, provider, ("service:a",) if busy else (), busy)
        for n, (zone, room, provider, busy) in enumerate(made)
    ]
)


@given(fleets, st.lists(demands, max_size=20))
def test_no_instance_is_ever_over_committed_and_every_task_that_has_a_place_gets_it(
    fleet: list[Instance], tasks: list[Demand]
) -> None:
    for task in tasks:
        chosen = choose(task, fleet)
        suitable = [one for one in fleet if task.provider in {None, one.provider} and task.resources.fits(one.room)]
        if task.apart:
            suitable = [one for one in suitable if task.group not in one.groups]
        assert (chosen is None) == (not suitable)
        if chosen is None:
            assert obstacle(task, fleet).endswith(".")
            continue
        assert chosen in suitable
        fleet[fleet.index(chosen)] = chosen.taking(task)
        after = fleet[next(n for n, one in enumerate(fleet) if one.id == chosen.id)].room
        assert min(after.cpu, after.memory, after.gpus) >= 0


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Resources(cpu=3000), "The closest matching (container-instance i-1) has insufficient CPU units available."),
        (Resources(memory=9999), "The closest matching (container-instance i-1) has insufficient memory available."),
        (
            Resources(gpus=1),
            "The closest matching (container-instance i-1) has insufficient GPU resource available.",
        ),
    ],
)
def test_an_obstacle_is_that_of_the_closest_instance(wanted: Resources, why: str) -> None:
    fleet = [Instance("i-0", "a", Resources(100, 100)), Instance("i-1", "a", Resources(2048, 4096))]
    assert obstacle(Demand(wanted), fleet) == why


def test_without_instances_the_capacity_provider_is_named() -> None:
    other = [Instance("i-0", "a", ROOMY, "gpu")]
    assert obstacle(Demand(Resources(1, 1), provider="cpu"), other) == (
        "Reason: No Container Instances were found in your capacity provider."
    )
    assert obstacle(Demand(Resources(1, 1)), []) == "Reason: No Container Instances were found in your cluster."
    apart = Demand(Resources(1, 1), "service:a", apart=True)
    assert "DistinctInstance" in obstacle(apart, [replace(other[0], groups=("service:a",))])


def test_tasks_are_spread_over_zones_and_packed_within_one() -> None:
    fleet = [
        Instance("a-empty", "a", ROOMY),
        Instance("a-used", "a", replace(ROOMY, memory=1024)),
        Instance("b", "b", ROOMY, groups=("service:x",)),
    ]
    task = Demand(Resources(memory=512), "service:x", strategies=SPREAD_AND_PACK)
    chosen = choose(task, fleet)
    assert chosen is not None
    assert chosen.id == "a-used"


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(1, 40))
def test_a_strategy_keeps_bases_and_weights(weights: list[int], tasks: int) -> None:
    strategy = [Share(f"p{n}", base=2 if n == 0 else 0, weight=weight) for n, weight in enumerate(weights)]
    placed: list[str | None] = []
    for _ in range(tasks):
        placed.append(provider_for(strategy, placed))
    assert placed.count("p0") >= min(2, tasks)
    beyond, total = max(0, tasks - 2), sum(weights)
    for share in strategy if total else []:
        assert abs(placed.count(share.provider) - share.base - beyond * share.weight / total) < len(weights) + 2
    assert provider_for([], placed) is None


bounds = st.builds(
    lambda low, more, target, step: Bounds(low, low + more, target, smallest_step=step),
    st.integers(0, 5),
    st.integers(0, 10),
    st.integers(1, 100),
    st.integers(1, 3),
)


@given(fleets, sizes, st.lists(demands, max_size=20))
def test_what_is_needed_has_a_place_for_every_task_that_more_instances_would_help(
    fleet: list[Instance], empty: Resources, tasks: list[Demand]
) -> None:
    mine = [replace(one, provider="cpu") for one in fleet]
    tasks = [replace(task, provider="cpu") for task in tasks]
    need = needed(mine, empty, tasks)
    busy = sum(one.busy for one in mine)
    assert busy <= need <= busy + len(tasks)

    # Instances come all at once and are filled one task after the other, which can leave one task out that another
    # order would have placed. That task is counted again: in the end nothing waits that a new instance would help.
    for _ in range(len(tasks) + 1):
        more = max(0, needed(mine, empty, tasks) - sum(one.busy for one in mine))
        mine += [Instance(f"new-{len(mine)}-{n}", "", empty, "cpu") for n in range(more)]
        waiting = []
        for task in sorted(tasks, key=lambda t: (t.resources.gpus, t.resources.memory, t.resources.cpu), reverse=True):
            chosen = choose(task, mine)
            if chosen is None:
                waiting.append(task)
            else:
                mine[mine.index(chosen)] = chosen.taking(task)
        tasks = waiting
    assert not any(task.resources.fits(empty) for task in tasks)


@given(st.integers(0, 20), st.integers(0, 20), bounds, st.floats(0, 2000))
def test_the_size_of_a_group_is_within_its_bounds_and_enough(
    present: int, need: int, limits: Bounds, spare_for: float
) -> None:
    size = desired(present, need, limits, spare_for)
    assert limits.minimum <= size <= limits.maximum
    assert size >= min(need, limits.maximum)
    if size < min(present, limits.maximum):
        assert spare_for >= SCALE_IN_AFTER
        assert has_spare(present, need, limits)
        assert size == limits.clamp(math.ceil(need * 100 / limits.target))


def test_spare_instances_are_kept_where_less_than_all_shall_be_used() -> None:
    assert desired(1, 1, Bounds(1, 5, target=100), 0) == 1
    assert desired(1, 1, Bounds(1, 5, target=50), 0) == 2
    assert desired(0, 0, Bounds(0, 5), 0) == 0
    assert desired(1, 3, Bounds(1, 9, largest_step=1), 0) == 2


members = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8).map(
    lambda made: [Member(f"i-{n}", busy, leaving) for n, (busy, leaving) in enumerate(made)]
)


@given(members, st.integers(0, 8))
def test_an_instance_with_tasks_is_never_ended(fleet: list[Member], size: int) -> None:
    going = departure(fleet, size)
    by_id = {member.id: member for member in fleet}
    assert not any(by_id[one].busy for one in going.end)
    assert all(by_id[one].busy and not by_id[one].leaving for one in going.drain)
    staying = [member for member in fleet if not member.leaving]
    gone = [one for one in (*going.end, *going.drain) if not by_id[one].leaving]
    assert len(gone) == max(0, len(staying) - size)
    if going.drain:
        assert all(member.busy or member.id in going.end for member in staying), "idle ones go first"


def test_the_youngest_idle_instance_goes() -> None:
    fleet = [Member("old", busy=False), Member("busy", busy=True), Member("young", busy=False)]
    assert departure(fleet, 2) == Departure(end=("young",))
    assert departure(fleet, 0) == Departure(end=("young", "old"), drain=("busy",))


def test_an_instance_has_what_ecs_registers_for_its_type() -> None:
    for name, known in instance_types().items():
        assert of_type(name) == Resources(known.cpu_units, known.room_mib, known.gpus)
    assert of_type("m6i.large") == Resources(2048, 7444, 0)
    assert of_type("t3.micro").cpu == 2048, "EC2 knows it, and our table does not"
    assert of_type("no.such") == Resources()


@pytest.mark.parametrize(("running", "need", "percent"), [(2, 1, 50), (1, 3, 300), (0, 1, 200), (0, 0, 100)])
def test_the_reservation_of_a_capacity_provider(running: int, need: int, percent: float) -> None:
    assert reservation(running, need) == percent
