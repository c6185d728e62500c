"""Decides how an instance refresh goes on: which instances come first, and which one goes next. Pure functions.

Source: "How an instance refresh works in an Auto Scaling group" and RefreshPreferences (EC2 Auto Scaling). With a
minimum healthy percentage of 100, a new instance starts before an old one goes; below, an old one goes first. An
instance that goes waits for its last tasks (ECS managed draining), and the next replacement waits for its end.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from cortex_cdk.localcloud import steady_clock

PENDING, IN_PROGRESS = "Pending", "InProgress"
SUCCESSFUL, FAILED, CANCELLED = "Successful", "Failed", "Cancelled"
ACTIVE = (PENDING, IN_PROGRESS)
PATIENCE_S = 3600.0
"""How long a refresh waits for protected instances, if it neither refreshes nor ignores them."""
STILL_PROTECTED = "One or more instances are protected from scale in, and the refresh waits for them."


@dataclass(frozen=True)
class Preferences:
    """How a refresh replaces instances, as RefreshPreferences has it.

    Attributes:
        minimum: Fewest healthy instances, in percent of the desired ones.
        maximum: Most instances, in percent of the desired ones.
        warmup_s: Seconds from the start of an instance to the next replacement.
        protected: What happens to instances that are protected from scale-in: ``Refresh``, ``Ignore`` or ``Wait``.
        skip_matching: Whether instances of the group's present launch template stay.
    """

    minimum: int = 90
    maximum: int = 100
    warmup_s: float = 0.0
    protected: str = "Wait"
    skip_matching: bool = False

    def spare(self, desired: int) -> int:
        """Return how many instances more than desired there may be: none where an old one goes first."""
        return max(1, -(-desired * self.maximum // 100) - desired) if self.minimum >= 100 else 0

    def missing(self, desired: int) -> int:
        """Return how many instances may be missing: none where a new one comes first."""
        return 0 if self.minimum >= 100 else max(1, desired - -(-desired * self.minimum // 100))


@dataclass
class InstanceRefresh:
    """One instance refresh of a group.

    Attributes:
        group: Name of the Auto Scaling group.
        preferences: How instances are replaced.
        old: The ids of the instances to replace.
        began: When the refresh was asked for.
        status: Such as ``InProgress``.
        reason: What the refresh waits for, or why it ended so.
        ended: When the refresh ended.
        left: How many instances are still to be replaced.
    """

    group: str
    preferences: Preferences
    old: tuple[str, ...]
    began: datetime = field(default_factory=steady_clock.moment)
    status: str = PENDING
    reason: str = ""
    ended: datetime | None = None
    left: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def is_active(self) -> bool:
        """Whether the refresh goes on."""
        return self.status in ACTIVE

    @property
    def percent(self) -> int:
        """The share of instances that are replaced."""
        return 100 * (len(self.old) - self.left) // len(self.old) if self.old else 100

    def end(self, status: str, reason: str = "") -> None:
        """Record the end of the refresh."""
        self.status, self.reason, self.ended = status, reason, datetime.now(timezone.utc)


@dataclass(frozen=True)
class Member:
    """An instance of a group, as a refresh sees it.

    Attributes:
        id: The instance's id.
        ready: Whether the instance is in service and warmed up.
        leaving: Whether the instance goes when it has no tasks left.
        protected: Whether the instance is protected from scale-in.
    """

    id: str
    ready: bool
    leaving: bool = False
    protected: bool = False


@dataclass(frozen=True)
class Step:
    """What a refresh does next.

    Attributes:
        spare: How many instances more than desired the group has meanwhile.
        leave: The instances that go now.
        reason: What the refresh waits for.
        done: Whether every old instance is gone.
        blocked: Whether only protected instances are left, for which the refresh waits.
    """

    spare: int = 0
    leave: tuple[str, ...] = ()
    reason: str = ""
    done: bool = False
    blocked: bool = False


def next_step(refresh: InstanceRefresh, members: Sequence[Member], desired: int) -> Step:
    """Return what a refresh does next.

    Args:
        refresh: The refresh.
        members: The instances of the group, the oldest first.
        desired: How many instances the group has without the refresh.
    """
    preferences = refresh.preferences
    old = [member for member in members if member.id in refresh.old]
    if not old:
        return Step(done=True)
    leaving = [member.id for member in old if member.leaving]
    if leaving:
        return Step(reason=f"Waiting for instances to terminate: {', '.join(leaving)}.")
    free = [member.id for member in old if preferences.protected == "Refresh" or not member.protected]
    if not free:
        return Step(reason=STILL_PROTECTED, blocked=True)
    spare = min(preferences.spare(desired), len(free))
    ready = sum(member.ready for member in members)
    going = ready - desired if spare else preferences.missing(desired) - max(0, desired - ready)
    if going < max(1, spare):
        starting = ", ".join(member.id for member in members if not member.ready) or "a new one"
        return Step(spare=spare, reason=f"Waiting for instances to warm up before continuing: {starting}.")
    # The new instances take the places of those that go.
    return Step(leave=tuple(free[:going]))
