"""Decides how target tracking scales a service. Pure functions.

Source: "Target tracking scaling policies" of the Application Auto Scaling guide. A policy scales out when its
metric was above the target in three minutes in a row, and in when it was below nine tenths of it in fifteen. Of
several policies the largest answer wins when scaling out; scaling in needs all of them, and one without data agrees to
nothing ("How target tracking scaling works": "cannot scale your scalable target until new data points are found").

The answer is in proportion to the tasks that run, not to those that are wanted: a metric is an average over the former
(containers-roadmap 525 shows desired counts that were computed from running tasks). Otherwise tasks that wait for an
instance would be asked for again and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

OUT_DATAPOINTS = 3
IN_DATAPOINTS = 15
IN_FRACTION = 0.9


@dataclass(frozen=True)
class Policy:
    """A target-tracking policy.

    Attributes:
        name: The policy's name.
        target: The target value of the metric.
        scale_out_cooldown: Seconds after scaling out in which the new replicas do not count yet.
        scale_in_cooldown: Seconds after scaling in until the next scaling in.
        disable_scale_in: Whether the policy only adds replicas.
    """

    name: str
    target: float
    scale_out_cooldown: float = 300.0
    scale_in_cooldown: float = 300.0
    disable_scale_in: bool = False


@dataclass(frozen=True)
class History:
    """The last scaling activities of a target.

    Attributes:
        out_at: Time of the last scaling out, seconds.
        before_out: The capacity before the last scaling out.
        in_at: Time of the last scaling in, seconds.
    """

    out_at: float | None = None
    before_out: int = 0
    in_at: float | None = None


class Alarm(Enum):
    """The state of a policy, by its datapoints."""

    HIGH = "AlarmHigh"
    LOW = "AlarmLow"
    OK = "OK"
    NO_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class Decision:
    """A change of a service's capacity.

    Attributes:
        capacity: The new desired count.
        policy: The policy that asked for the change.
        alarm: The policy's alarm that went off.
    """

    capacity: int
    policy: str
    alarm: Alarm


def alarm_of(policy: Policy, datapoints: Sequence[float | None]) -> Alarm:
    """Return the state of a policy by its datapoints.

    Args:
        policy: The policy.
        datapoints: One value a minute, the newest last; None for a minute without data.
    """
    newest = datapoints[-OUT_DATAPOINTS:]
    if all(value is None for value in newest):
        return Alarm.NO_DATA
    if len(newest) == OUT_DATAPOINTS and all(value is not None and value > policy.target for value in newest):
        return Alarm.HIGH
    low = datapoints[-IN_DATAPOINTS:]
    bound = IN_FRACTION * policy.target
    if len(low) == IN_DATAPOINTS and all(value is not None and value < bound for value in low):
        return Alarm.LOW
    return Alarm.OK


def decide(
    observed: Sequence[tuple[Policy, Sequence[float | None]]],
    *,
    capacity: int,
    minimum: int,
    maximum: int,
    history: History,
    now: float,
    deploying: bool,
    running: int | None = None,
    measured: Sequence[int] | None = None,
) -> Decision | None:
    """Return whether to change the capacity, and to what.

    A policy without data does not scale out, and keeps all others from scaling in.

    Args:
        observed: The policies with the datapoints of their metrics (see ``alarm_of``).
        capacity: The desired count now.
        minimum: The minimum of the scalable target.
        maximum: The maximum of the scalable target.
        history: The last activities.
        now: The time in seconds, on the clock of ``history``. An activity that lies ahead was recorded before somebody
            set the clock back, and counts for nothing.
        deploying: Whether a deployment runs. Meanwhile ECS services are not scaled in.
        running: The tasks that run; None if all of them do.
        measured: For each policy, how many of these its metric is an average over; None if over all.

    Returns:
        The change, or None.
    """
    alarms = [(policy, values, alarm_of(policy, values)) for policy, values in observed]
    there = capacity if running is None else running
    averaged = [there] * len(alarms) if measured is None else measured
    wishes = [
        Decision(min(maximum, _proportional(policy, values, _base(policy, over, history, now))), policy.name, alarm)
        for (policy, values, alarm), over in zip(alarms, averaged, strict=True)
        if alarm is Alarm.HIGH
    ]
    largest = max(wishes, key=lambda wish: wish.capacity, default=None)
    if largest:
        return largest if largest.capacity > capacity else None
    if deploying:
        return None
    return _scale_in(alarms, capacity, there, minimum=minimum, history=history, now=now)


def _scale_in(
    alarms: Sequence[tuple[Policy, Sequence[float | None], Alarm]],
    capacity: int,
    running: int,
    *,
    minimum: int,
    history: History,
    now: float,
) -> Decision | None:
    voting = [item for item in alarms if not item[0].disable_scale_in]
    if not voting or any(alarm is not Alarm.LOW for _, _, alarm in voting):
        return None
    wishes = [
        Decision(max(minimum, _proportional(policy, values, running)), policy.name, alarm)
        for policy, values, alarm in voting
    ]
    largest = max(wishes, key=lambda wish: wish.capacity)
    cooldown = max(policy.scale_in_cooldown for policy, _, _ in voting)
    cooling = history.in_at is not None and 0 <= now - history.in_at < cooldown
    return None if cooling or largest.capacity >= capacity else largest


def _base(policy: Policy, running: int, history: History, now: float) -> int:
    """Return the capacity that the metric was measured with. Replicas that were just added do not serve yet."""
    cooling = history.out_at is not None and 0 <= now - history.out_at < policy.scale_out_cooldown
    return min(running, history.before_out) if cooling else running


def _proportional(policy: Policy, values: Sequence[float | None], capacity: int) -> int:
    """Return the capacity with which the newest value would be at the target."""
    newest = next(value for value in reversed(values) if value is not None)
    # 3 x 1.1 / 1.1 must be 3, not 4.
    return math.ceil(round(capacity * newest / policy.target, 9))
