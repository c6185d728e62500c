"""Runs one stack operation to its end: executes, tells what happens, and names the first cause of a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.launch_failures import LaunchFailure
from cortex_cdk.aws.polling import pauses
from cortex_cdk.replicas.rollout import ReplicaFailure
from cortex_cdk.stack_operations.change_set import ChangeSet, execute
from cortex_cdk.stack_operations.events import EventReader, StackEvent
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import StackState, read_stack

# ECS limits how often services may be described; this is well below, and often enough to see every replica fail.
LOOK_SECONDS = 0.5


FOLLOWS_WITHIN = 5.0
"""Seconds within which whoever has given an operation up begins another one."""
EVENTS_LAG_SECONDS = 5.0
"""How long after a stack has settled the event that says so is waited for."""
_SUCCEEDED = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class Watcher(Protocol):
    """Looks meanwhile at what a stack operation waits for, of which CloudFormation says nothing."""

    @property
    def failure(self) -> ReplicaFailure | None:
        """Why the first replica failed; None while none has."""

    @property
    def capacity_problem(self) -> str | None:
        """Why replicas have no place; None where they have one, or never lacked one."""

    @property
    def launch_failure(self) -> LaunchFailure | None:
        """Why EC2 launches no instance that is needed; None where it does, or none is."""

    def look(self) -> list[str]:
        """Look once. Returns what is new, in words."""


@dataclass(frozen=True)
class Outcome:
    """How a stack operation ended, whatever happened to the stack afterwards.

    Attributes:
        status: The stack's status at the end of the operation, such as ``UPDATE_ROLLBACK_COMPLETE``.
        stack: The stack afterwards; None where it is gone.
        interrupted: Whether somebody else gave the operation up: nothing of its own failed.
        cause: The event with which a failure began, if there is one.
        replica: Why a replica failed meanwhile, if one did.
        capacity: Why a replica could not be placed, if one could not.
        launch: Why EC2 launched no instance, if one was needed.
    """

    status: str
    stack: StackState | None
    interrupted: bool = False
    cause: StackEvent | None = None
    replica: ReplicaFailure | None = None
    capacity: str | None = None
    launch: LaunchFailure | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the operation did what was asked for."""
        return self.status in _SUCCEEDED


def run(
    cloud: Cloud,
    change_set: ChangeSet,
    subject: str,
    progress: Progress,
    *,
    watcher: Watcher | None = None,
    on_rollback: Callable[[], None] | None = None,
) -> Outcome:
    """Execute a change set and wait until the stack has settled.

    Args:
        cloud: A session of the environment.
        change_set: What to execute.
        subject: The API, splitter or cluster, for progress lines.
        progress: Hears of each step.
        watcher: Looks at replicas or instances meanwhile; None for stacks that have neither.
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
    watcher: Watcher | None = None,
    on_rollback: Callable[[], None] | None = None,
) -> Outcome:
    """Wait until the operation that runs on a stack has ended, and tell what happens.

    Another operation may begin at once, so the end is an event: the stack's status may be that of the other already.

    Args:
        cloud: A session of the environment.
        stack_id: The stack's id: a later stack of the same name is another one.
        events: Reads its events.
        subject: The API, splitter or cluster, for progress lines.
        progress: Hears of each step.
        watcher: Looks at replicas or instances meanwhile; None for stacks that have neither.
        on_rollback: Called once if a roll-back begins.
    """
    history = _History()
    next_look = time.monotonic() + LOOK_SECONDS
    settled_at: float | None = None
    for pause in pauses():
        time.sleep(pause)
        stack = read_stack(cloud, stack_id)
        if on_rollback and stack and "ROLLBACK" in stack.status:
            on_rollback()
            on_rollback = None
        settled = stack is None or not stack.in_progress
        if watcher and (settled or time.monotonic() >= next_look):
            for text in watcher.look():
                progress.step(subject, text)
            next_look = time.monotonic() + LOOK_SECONDS
        for event in events.new():
            progress.event(subject, event)
            history.add(event)
            if history.end:
                break
        settled_at = (settled_at or time.monotonic()) if settled else None
        if history.end or (settled_at and time.monotonic() - settled_at > EVENTS_LAG_SECONDS):
            break
    status = history.end or (stack.status if stack else "DELETE_COMPLETE")
    gone = stack is None or stack.status == "DELETE_COMPLETE" or status == "DELETE_COMPLETE"
    return Outcome(
        status=status,
        stack=None if gone else stack,
        interrupted=history.interrupted,
        cause=history.cause,
        replica=watcher.failure if watcher else None,
        capacity=watcher.capacity_problem if watcher else None,
        launch=watcher.launch_failure if watcher else None,
    )


@dataclass
class _History:
    """What the events of one operation say of its end.

    Attributes:
        cause: The event with which a failure began.
        interrupted: Whether the operation was given up by somebody.
        end: The stack's status at the end; None while the operation runs.
    """

    cause: StackEvent | None = None
    interrupted: bool = False
    end: str | None = None
    _turned: bool = False

    def add(self, event: StackEvent) -> None:
        """Take one event in, the oldest first."""
        if self.cause is None and event.is_cause:
            self.cause = event
            self.interrupted = event.is_interruption
        if event.turns_back and not self._turned:
            self._turned = True
            # Nothing had failed: somebody cancelled the update, or deleted the stack.
            self.interrupted = self.interrupted or self.cause is None
        if event.ends_operation:
            self.end = event.status


class Next(Enum):
    """What follows an operation that somebody has given up."""

    DELETION = "deletion"
    DEPLOYMENT = "another deployment"
    NOTHING = "nothing"


def next_operation(cloud: Cloud, name: str, stack_id: str, status: str) -> Next:
    """Find out why somebody gave an operation up: what they do next begins within seconds.

    Args:
        cloud: A session of the environment.
        name: The stack's name: a deployment may make another stack of that name.
        stack_id: The stack.
        status: How the operation ended.
    """
    deadline = time.monotonic() + FOLLOWS_WITHIN
    for pause in pauses():
        stack = read_stack(cloud, name)
        gone = stack is None or stack.status.startswith("DELETE_")
        if stack is not None and not gone and (stack.id != stack_id or stack.status != status):
            return Next.DEPLOYMENT
        # What is gone may be made anew.
        if time.monotonic() > deadline or (gone and status != "DELETE_COMPLETE"):
            return Next.DELETION if gone else Next.NOTHING
        time.sleep(pause)
    raise AssertionError("pauses never end")
