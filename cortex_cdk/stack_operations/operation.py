"""Runs one stack operation to its end: executes, tells what happens, and names the first cause of a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.polling import pauses
from cortex_cdk.replicas.rollout import ReplicaFailure, RolloutWatcher
from cortex_cdk.stack_operations.change_set import ChangeSet, execute
from cortex_cdk.stack_operations.events import EventReader, StackEvent
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import StackState, read_stack

# ECS limits how often services may be described; this is well below, and often enough to see every replica fail.
LOOK_SECONDS = 0.5
ROLLING_BACK = frozenset({"ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"})


@dataclass(frozen=True)
class Outcome:
    """How a stack operation ended.

    Attributes:
        stack: The stack afterwards; None where it is gone.
        succeeded: Whether the operation did what was asked for.
        cause: The event with which a failure began, if there is one.
        replica: Why a replica failed meanwhile, if one did.
        capacity: Why a replica could not be placed, if one could not.
    """

    stack: StackState | None
    succeeded: bool
    cause: StackEvent | None = None
    replica: ReplicaFailure | None = None
    capacity: str | None = None


def run(
    cloud: Cloud,
    change_set: ChangeSet,
    subject: str,
    progress: Progress,
    *,
    watcher: RolloutWatcher | None = None,
    on_rollback: Callable[[], None] | None = None,
) -> Outcome:
    """Execute a change set and wait until the stack has settled.

    Args:
        cloud: A session of the environment.
        change_set: What to execute.
        subject: The API, splitter or cluster, for progress lines.
        progress: Hears of each step.
        watcher: Looks at the replicas meanwhile; None for stacks without a service.
        on_rollback: Called once if a roll-back begins.
    """
    events = EventReader(cloud, change_set.stack_id)
    execute(cloud, change_set)
    return watch(
        cloud,
        change_set.stack_id,
        events,
        subject,
        progress=progress,
        watcher=watcher,
        on_rollback=on_rollback,
    )


def watch(
    cloud: Cloud,
    stack_id: str,
    events: EventReader,
    subject: str,
    *,
    progress: Progress,
    watcher: RolloutWatcher | None = None,
    on_rollback: Callable[[], None] | None = None,
) -> Outcome:
    """Wait until a stack has settled, and tell what happens.

    Args:
        cloud: A session of the environment.
        stack_id: The stack's name or id.
        events: Reads its events.
        subject: The API, splitter or cluster, for progress lines.
        progress: Hears of each step.
        watcher: Looks at the replicas meanwhile; None for stacks without a service.
        on_rollback: Called once if a roll-back begins.
    """
    cause: StackEvent | None = None
    next_look = time.monotonic() + LOOK_SECONDS
    for pause in pauses():
        time.sleep(pause)
        stack = read_stack(cloud, stack_id)
        if on_rollback and stack and stack.status in ROLLING_BACK:
            on_rollback()
            on_rollback = None
        if watcher and (stack is None or not stack.in_progress or time.monotonic() >= next_look):
            for text in watcher.look():
                progress.step(subject, text)
            next_look = time.monotonic() + LOOK_SECONDS
        for event in events.new():
            progress.event(subject, event)
            if cause is None and event.is_cause:
                cause = event
        if stack is None or not stack.in_progress:
            break
    gone = stack is None or stack.status == "DELETE_COMPLETE"
    return Outcome(
        stack=None if gone else stack,
        succeeded=stack is not None and not gone and not stack.failed,
        cause=cause,
        replica=watcher.failure if watcher else None,
        capacity=watcher.capacity_problem if watcher else None,
    )
