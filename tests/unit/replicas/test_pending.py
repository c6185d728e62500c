"""What ECS's events say of a replica that waits, and what becomes of it, in words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cortex_cdk.aws.launch_failures import explain
from cortex_cdk.replicas.pending import GroupSize, PlacementRefusal, placement_refusal, with_outlook

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
UNPLACED = "(service a) was unable to place a task because no container instance met all of its requirements. "
MORE = " For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
CLOSEST = "The closest matching (container-instance 1f) has insufficient memory available."
NONE = "No Container Instances were found in your capacity provider."


def events(*messages: str) -> list[Any]:
    """The newest first, a minute apart."""
    return [{"createdAt": NOW - timedelta(minutes=n), "message": text} for n, text in enumerate(messages)]


@pytest.mark.parametrize(
    ("messages", "reason", "minutes"),
    [
        ((UNPLACED + CLOSEST + MORE,), CLOSEST, 0),
        ((UNPLACED + "Reason: " + NONE + MORE,), NONE, 0),
        ((UNPLACED + CLOSEST, "(service a) registered 1 targets", UNPLACED + NONE), CLOSEST, 2),
        ((UNPLACED + CLOSEST, "(service a) has started 1 tasks", UNPLACED + NONE), CLOSEST, 0),
    ],
)
def test_the_newest_reason_counts_since_the_first_refusal(messages: tuple[str, ...], reason: str, minutes: int) -> None:
    assert placement_refusal(events(*messages)) == PlacementRefusal(reason, NOW - timedelta(minutes=minutes))


def test_who_has_a_place_by_now_does_not_wait() -> None:
    assert placement_refusal(events("(service a) has reached a steady state.", UNPLACED + CLOSEST)) is None
    assert placement_refusal([]) is None


@pytest.mark.parametrize(
    ("size", "outlook"),
    [
        (GroupSize("cpu", 1, 3, 5), "instance group cpu starts 2 instances (1 of at most 5 run)"),
        (
            GroupSize("gpu", 0, 1, 5, explain("Max spot instance count exceeded. Launching EC2 instance failed.", NOW)),
            "instance group gpu cannot start an instance (0 of at most 5 run): the account may have no more spot "
            "instances of this family: ask for more vCPUs of spot requests in the Service Quotas console, or leave "
            "spot out of the instance group",
        ),
        (GroupSize("gpu", 0, 0, 5), "instance group gpu has 0 instances of at most 5"),
        (
            GroupSize("cpu", 1, 1, 1),
            "instance group cpu has 1 instance, its maximum: raise max_instances (cortex cluster configure), "
            "or ask for less compute or fewer replicas",
        ),
    ],
)
def test_the_outlook_says_what_comes_next(size: GroupSize, outlook: str) -> None:
    assert with_outlook("waiting for capacity: no room.", [size]) == f"waiting for capacity: no room; {outlook}"
    assert with_outlook("waiting for capacity: no room.", []) == "waiting for capacity: no room."
