"""What a running operation tells, and to whom."""

from __future__ import annotations

from typing import Protocol

from cortex_cdk.replicas.revisions import Rollout
from cortex_cdk.stack_operations.change_set import Change
from cortex_cdk.stack_operations.events import StackEvent


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
    """Hears everything, says nothing, and accepts every question: for callers from Python."""

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
