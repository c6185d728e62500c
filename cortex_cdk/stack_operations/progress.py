"""What a running operation tells, and to whom."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from cortex_cdk.replicas.revisions import Rollout
from cortex_cdk.stack_operations.change_set import Change
from cortex_cdk.stack_operations.events import StackEvent

# As the log of a build begins a part.
_HEADING = "==> "


class Progress(Protocol):
    """Hears how an operation goes. Calls may come from several threads.

    ``subject`` is the API, splitter or cluster that the operation is about.
    """

    def step(self, subject: str, text: str) -> None:
        """Hear in a few words that something began or ended."""

    def log(self, subject: str, line: str) -> None:
        """Hear one line of the log of something that runs elsewhere. There may be thousands."""

    def changes(self, subject: str, changes: tuple[Change, ...]) -> None:
        """Hear which resources are about to be changed."""

    def event(self, subject: str, event: StackEvent) -> None:
        """Hear that a resource changed its state."""

    def rollout(self, subject: str, rollout: Rollout) -> None:
        """Hear how many replicas of the old and of the new revision there are, several times a second."""

    def confirm(self, subject: str, question: str) -> bool:
        """Ask the user. False refuses."""


class Silent:
    """Hears everything, says nothing, and accepts every question."""

    def step(self, subject: str, text: str) -> None:
        """Nothing."""

    def log(self, subject: str, line: str) -> None:
        """Nothing."""

    def changes(self, subject: str, changes: tuple[Change, ...]) -> None:
        """Nothing."""

    def event(self, subject: str, event: StackEvent) -> None:
        """Nothing."""

    def rollout(self, subject: str, rollout: Rollout) -> None:
        """Nothing."""

    def confirm(self, subject: str, question: str) -> bool:
        """Yes."""
        return True


class Lines(Silent):
    """Says in lines what goes on. Of the logs of builds, only what is at work.

    Args:
        say: Takes each line.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._rollouts: dict[str, str] = {}

    def step(self, subject: str, text: str) -> None:
        """Say it."""
        self._say(f"{subject}: {text}")

    def log(self, subject: str, line: str) -> None:
        """Say the heading of a part."""
        if line.startswith(_HEADING):
            self.step(subject, line)

    def changes(self, subject: str, changes: tuple[Change, ...]) -> None:
        """Say how many resources are made or changed."""
        if changes:
            is_new = all(change.action == "Add" for change in changes)
            what = "to create" if is_new else "to change"
            self.step(subject, f"{len(changes)} resource{'s' * (len(changes) != 1)} {what}")

    def event(self, subject: str, event: StackEvent) -> None:
        """Say what failed."""
        if event.status.endswith("_FAILED"):
            self.step(subject, f"failed: {event.what}: {event.reason}")

    def rollout(self, subject: str, rollout: Rollout) -> None:
        """Say how many new replicas serve, when that changes."""
        text = f"{rollout.new.healthy} of {rollout.new.desired} new replicas serve"
        if rollout.new.desired and self._rollouts.get(subject) != text:
            self._rollouts[subject] = text
            self.step(subject, text)

    def confirm(self, subject: str, question: str) -> bool:
        """Yes, and say so."""
        self.step(subject, f"{question} yes")
        return True


def on_stderr(line: str) -> None:
    """Write a line to standard error."""
    print(line, file=sys.stderr, flush=True)


def progress_of(told: Progress | Callable[[str], object] | None) -> Progress:
    """Return who hears how operations go: for a function, one that calls it with lines; for None, a silent one."""
    if told is None:
        return Silent()
    return Lines(told) if callable(told) else told
