"""Starts, carries on and cancels the instance refreshes of groups."""

from __future__ import annotations

from moto.autoscaling.exceptions import AutoscalingClientError

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.services.autoscaling.groups import IN_SERVICE, AutoScalingGroup, GroupInstance
from cortex_cdk.localcloud.services.autoscaling.instance_refresh import (
    CANCELLED,
    FAILED,
    IN_PROGRESS,
    PATIENCE_S,
    STILL_PROTECTED,
    SUCCESSFUL,
    InstanceRefresh,
    Member,
    Preferences,
    next_step,
)

KEPT = 20
"""Refreshes of a group that are remembered. AWS keeps those of six weeks."""


class RefreshRunsError(AutoscalingClientError):
    """A refresh of the group goes on already."""

    code = "InstanceRefreshInProgress"
    message = "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."


class NoRefreshError(AutoscalingClientError):
    """No refresh of the group goes on."""

    code = "ActiveInstanceRefreshNotFound"
    message = "No in progress or pending Instance Refresh found for the Auto Scaling group."


def active(group: AutoScalingGroup) -> InstanceRefresh | None:
    """Return the refresh of a group that goes on; None if none does."""
    return next((refresh for refresh in group.refreshes if refresh.is_active), None)


def start(group: AutoScalingGroup, preferences: Preferences) -> InstanceRefresh:
    """Begin to replace the instances of a group.

    Raises:
        RefreshRunsError: A refresh goes on already.
    """
    if active(group):
        raise RefreshRunsError
    ignored = preferences.protected == "Ignore"
    old = tuple(
        member.id
        for member in group.staying
        if not (ignored and member.is_protected) and not (preferences.skip_matching and group.is_current(member))
    )
    refresh = InstanceRefresh(group.name, preferences, old, left=len(old))
    group.refreshes = [*group.refreshes, refresh][-KEPT:]
    return refresh


def cancel(group: AutoScalingGroup) -> InstanceRefresh:
    """End the refresh of a group. The instances that it has replaced stay so.

    Raises:
        NoRefreshError: None goes on.
    """
    refresh = active(group)
    if refresh is None:
        raise NoRefreshError
    group.spare = 0
    refresh.end(CANCELLED, "Cancelled due to user request.")
    return refresh


def carry_on(group: AutoScalingGroup, speed: float) -> None:
    """Take the refresh of a group a step further, if one goes on.

    Args:
        group: The group.
        speed: How many times faster than configured instances warm up.
    """
    refresh = active(group)
    if refresh is None:
        return
    refresh.status = IN_PROGRESS
    members = [_seen(member, refresh.preferences.warmup_s / speed) for member in group.members]
    step = next_step(refresh, members, group.desired_capacity or 0)
    group.spare, refresh.reason = step.spare, step.reason
    refresh.left = sum(member.id in refresh.old for member in members)
    for member in group.members:
        if member.id in step.leave:
            member.leave()
    waited = (steady_clock.moment() - refresh.began).total_seconds() * speed
    if step.done:
        refresh.end(SUCCESSFUL)
    elif step.blocked and waited > PATIENCE_S:
        refresh.end(FAILED, STILL_PROTECTED)


def _seen(member: GroupInstance, warmup: float) -> Member:
    in_service = member.lifecycle_state == IN_SERVICE
    ready = in_service and steady_clock.now() - member.in_service_since >= warmup
    return Member(member.id, ready, member.is_leaving, member.is_protected)
