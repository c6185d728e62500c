"""Target tracking, against an implementation that is slow, long and obvious."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cdk.localcloud.services.application_autoscaling.target_tracking import (
    Alarm,
    Decision,
    History,
    Policy,
    alarm_of,
    decide,
)

POLICY = Policy("requests", target=100, scale_out_cooldown=60, scale_in_cooldown=300)


def choose(values: list[float | None], capacity: int = 2, **changes: Any) -> Decision | None:
    given_: dict[str, Any] = {
        "minimum": 1,
        "maximum": 10,
        "history": History(),
        "now": 1000.0,
        "deploying": False,
        **changes,
    }
    return decide([(POLICY, values)], capacity=capacity, **given_)


@pytest.mark.parametrize(
    ("values", "alarm"),
    [
        ([101, 101, 101], Alarm.HIGH),
        ([500, 100, 500], Alarm.OK),
        ([101, None, 101], Alarm.OK),
        ([89] * 15, Alarm.LOW),
        ([89] * 14, Alarm.OK),
        ([89] * 14 + [90], Alarm.OK),
        ([89] * 12 + [None] * 3, Alarm.NO_DATA),
        ([], Alarm.NO_DATA),
    ],
)
def test_alarms(values: list[float | None], alarm: Alarm) -> None:
    assert alarm_of(POLICY, values) is alarm


def test_capacity_is_proportional_and_bounded() -> None:
    assert choose([150, 150, 150]) == Decision(3, "requests", Alarm.HIGH)
    assert choose([150, 150, 5000]) == Decision(10, "requests", Alarm.HIGH)
    assert choose([30.0] * 15, capacity=4) == Decision(2, "requests", Alarm.LOW)
    assert choose([0.0] * 15, capacity=4) == Decision(1, "requests", Alarm.LOW)
    assert choose([0.0] * 15, capacity=4, deploying=True) is None


def test_one_policy_without_data_keeps_all_from_scaling_in() -> None:
    idle = (Policy("in-flight", target=1), [0.0] * 15)
    given: dict[str, Any] = {"capacity": 4, "minimum": 1, "maximum": 10, "history": History(), "now": 0.0}
    assert decide([idle, (POLICY, [None] * 15)], **given, deploying=False) is None
    assert decide([idle, (POLICY, [0.0] * 15)], **given, deploying=False) is not None
    only_out = Policy("requests", target=100, disable_scale_in=True)
    assert decide([idle, (only_out, [None] * 15)], **given, deploying=False) is not None


def test_cooldowns() -> None:
    just_out = History(out_at=950.0, before_out=2)
    assert choose([150, 150, 150], capacity=3, history=just_out) is None
    assert choose([200, 200, 200], capacity=3, history=just_out) == Decision(4, "requests", Alarm.HIGH)
    assert choose([150, 150, 150], capacity=3, history=History(out_at=940.0, before_out=2)) is not None
    just_in = History(in_at=701.0)
    assert choose([50.0] * 15, capacity=4, history=just_in) is None
    assert choose([50.0] * 15, capacity=4, history=History(in_at=700.0)) is not None
    assert choose([150, 150, 150], history=just_in) is not None


def test_no_cooldown_lasts_until_the_clock_catches_up_that_somebody_has_set_back() -> None:
    ahead = 4600.0
    assert choose([50.0] * 15, capacity=4, history=History(in_at=ahead)) is not None
    assert choose([150, 150, 150], capacity=3, history=History(out_at=ahead, before_out=2)) is not None


@pytest.mark.parametrize(
    ("running", "capacity", "value", "wanted"),
    [
        (1, 1, 500, 5),  # One task with five times its target.
        (1, 5, 500, None),  # Four more are wanted already, and wait for an instance.
        (1, 5, 600, 6),  # The load has grown: by one task, not by five times six.
        (3, 5, 170, 6),
        (5, 5, 110, 6),
        (4, 2, 110, 5),  # During a rollout four tasks run where two are wanted; the average is over four.
    ],
)
def test_the_running_tasks_count(running: int, capacity: int, value: float, wanted: int | None) -> None:
    decision = choose([value] * 3, capacity, running=running, maximum=100)
    assert (decision.capacity if decision else None) == wanted


def test_tasks_that_wait_for_an_instance_are_not_asked_for_again() -> None:
    capacity, history, counts = 1, History(), []
    for minute in range(30):
        decision = choose([530] * 15, capacity, running=1, history=history, now=minute * 60.0, maximum=100)
        if decision:
            history = History(out_at=minute * 60.0, before_out=capacity)
            capacity = decision.capacity
        counts.append(capacity)
    assert set(counts) == {6}, "the formula's answer: one task with 5.3 times its target"


def test_tasks_that_are_not_in_the_average_yet_do_not_multiply_it() -> None:
    rate, in_flight = POLICY, Policy("in-flight", target=1)
    given: dict[str, Any] = {"capacity": 7, "minimum": 1, "maximum": 100, "history": History(), "now": 0.0}
    observed: list[Any] = [(rate, [50.0] * 15), (in_flight, [6.0] * 15)]
    assert decide(observed, **given, deploying=False, running=7, measured=[7, 1]) is None
    grown = decide(observed, **given, deploying=False, running=7, measured=[7, 2])
    assert grown == Decision(12, "in-flight", Alarm.HIGH)


def test_scaling_in_leaves_what_the_running_tasks_need() -> None:
    decision = choose([20.0] * 15, capacity=33, running=4, maximum=100)
    assert decision == Decision(1, "requests", Alarm.LOW)


values = st.one_of(st.none(), st.floats(0, 300).map(lambda value: round(value, 1)))
policies = st.builds(
    Policy,
    name=st.uuids().map(str),
    target=st.sampled_from([1.0, 10.0, 100.0]),
    scale_out_cooldown=st.sampled_from([0.0, 60.0, 300.0]),
    scale_in_cooldown=st.sampled_from([0.0, 60.0, 300.0]),
    disable_scale_in=st.booleans(),
)


def obvious(
    traces: list[tuple[Policy, list[float | None]]], desired: int, low: int, high: int, minutes: int
) -> list[int]:
    """The desired count after each minute, computed the long way from the text of the guide."""
    counts = []
    last_out: int | None = None
    count_before_last_out = 0
    last_in: int | None = None
    for minute in range(minutes):
        outs: list[int] = []
        ins: list[int] = []
        everyone_agrees = True
        longest_in_cooldown = 0.0
        for policy, trace in traces:
            seen = trace[: minute + 1]
            last3 = seen[-3:]
            last15 = seen[-15:]
            if [value for value in last3 if value is not None] == []:
                # It cannot scale until there is data again.
                if not policy.disable_scale_in:
                    everyone_agrees = False
                continue
            newest = [value for value in last3 if value is not None][-1]
            is_high = len(last3) == 3
            for value in last3:
                if value is None or value <= policy.target:
                    is_high = False
            if is_high:
                base = desired
                if last_out is not None and (minute - last_out) * 60 < policy.scale_out_cooldown:
                    base = min(desired, count_before_last_out)
                outs.append(min(high, ceiling(base * newest / policy.target)))
            if policy.disable_scale_in:
                continue
            is_low = len(last15) == 15
            for value in last15:
                if value is None or value >= policy.target * 0.9:
                    is_low = False
            longest_in_cooldown = max(longest_in_cooldown, policy.scale_in_cooldown)
            if is_low:
                ins.append(max(low, ceiling(desired * newest / policy.target)))
            else:
                everyone_agrees = False
        if outs:
            if max(outs) > desired:
                count_before_last_out = desired
                last_out = minute
                last_in = None
                desired = max(outs)
            counts.append(desired)
            continue
        is_cooling = last_in is not None and (minute - last_in) * 60 < longest_in_cooldown
        if ins and everyone_agrees and max(ins) < desired and not is_cooling:
            last_in = minute
            last_out = None
            desired = max(ins)
        counts.append(desired)
    return counts


def ceiling(value: float) -> int:
    """Round up, forgiving what floating point adds."""
    whole = int(value)
    return whole if value - whole < 1e-9 else whole + 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(policies, st.lists(values, min_size=60, max_size=60)), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(5, 20),
)
def test_it_agrees_with_the_obvious_implementation(
    traces: list[tuple[Policy, list[float | None]]], low: int, high: int
) -> None:
    capacity, history, counts = low, History(), []
    for minute in range(60):
        decision = decide(
            [(policy, trace[: minute + 1]) for policy, trace in traces],
            capacity=capacity,
            minimum=low,
            maximum=high,
            history=history,
            now=minute * 60.0,
            deploying=False,
        )
        if decision:
            is_out = decision.capacity > capacity
            history = History(out_at=minute * 60.0, before_out=capacity) if is_out else History(in_at=minute * 60.0)
            capacity = decision.capacity
        counts.append(capacity)

    assert counts == obvious(traces, low, low, high, 60)


@given(st.lists(st.tuples(policies, st.lists(values, max_size=20)), max_size=3), st.integers(1, 20))
def test_bounds_are_kept(observed: list[tuple[Policy, list[float | None]]], capacity: int) -> None:
    decision = decide(observed, capacity=capacity, minimum=1, maximum=20, history=History(), now=0.0, deploying=False)

    assert decision is None or (1 <= decision.capacity <= 20 and decision.capacity != capacity)
