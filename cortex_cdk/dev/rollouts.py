"""One deployment of a ``cortex dev``, after CloudFormation has begun with it: looks until it serves, or has failed."""

from __future__ import annotations

import time
from collections.abc import Callable

from cortex_cdk import names
from cortex_cdk.client import Client
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.dev.happenings import Happening, Moved, Step
from cortex_cdk.errors import CortexError, DeployError
from cortex_cdk.history.record import FAILED, INTERRUPTED
from cortex_cdk.history.store import RecordStore
from cortex_cdk.replicas import revisions
from cortex_cdk.replicas.revisions import Rollout
from cortex_cdk.replicas.rollout import RolloutWatcher
from cortex_cdk.stack_operations.recovery import recover
from cortex_cdk.stack_operations.stack import StackState, read_stack

STACK_SECONDS = 1.0
"""Between two looks at the stack, which tells of failures that are none of a replica."""
SUPERSEDED = "the next save came before it served"
CORRECT_IT = "correct the cause and save"


class DevRollout:
    """The deployment of one API. Make it before the deployment begins.

    Args:
        client: The environment.
        api: The API's name.
        serving: The revision that serves now; None where none does, or where that is not known.
        tell: Hears how many replicas there are.

    Attributes:
        is_live: Whether a replica of the revision gets requests.
        is_over: Whether nothing will change any more.
        failure: Why the revision does not serve; None while nothing says so.
    """

    def __init__(self, client: Client, api: str, serving: str | None, tell: Callable[[Happening], None]) -> None:
        self._client = client
        self._api = api
        self._tell = tell
        cluster = client.environment.cluster
        self._stack_name = names.api_stack(cluster, api)
        stack = self._read_stack()
        known = stack.parameters.get(names.Parameter.REVISION) if stack and not stack.never_worked else None
        self._is_first = known is None
        self._number: int | None = None
        self._updated = stack.updated if stack else None
        self._watcher = RolloutWatcher(client.cloud, cluster, api, before=serving or known, tell=self._take_in)
        self._rollout: Rollout | None = None
        self._next_stack = time.monotonic() + STACK_SECONDS
        self.is_live = self.is_over = False
        self.failure: CortexError | None = None
        self._why = f"see why with: cortex why {api}"

    def begin(self, applied: Applied) -> None:
        """Take over what CloudFormation has begun with."""
        self._watcher.revision = applied.revision
        self._number = applied.number
        self.is_live = self.is_over = not applied.in_progress
        self.failure = applied.error

    def look(self) -> None:
        """Look once."""
        for text in self._watcher.look():
            self._say(text)
        rollout = self._rollout
        if rollout is None:
            return
        self.is_live = self.is_live or rollout.new.healthy > 0
        has_turned = rollout.new.state == revisions.FAILED
        if self.is_live:
            self.failure = None
        elif self._watcher.failure:
            reason, details = self._watcher.failure.reason, self._watcher.failure.details
            self.failure = self._error(f"the replica failed: {reason}", CORRECT_IT, details)
        elif has_turned:
            self.failure = self._error("ECS, or another command, gave the update up", self._why)
        self.is_over = (self.is_live and rollout.old is None and rollout.new.state == revisions.LIVE) or has_turned
        if self.is_over or time.monotonic() < self._next_stack:
            return
        self._next_stack = time.monotonic() + STACK_SECONDS
        stack = self._read_stack()
        # What failed before says nothing; CloudFormation may begin a moment late.
        if stack is None or (stack.failed and not stack.in_progress and stack.updated != self._updated):
            self.is_over = True
            reason = stack.reason if stack else "nothing of it was kept"
            self.failure = self.failure or self._error(f"the deployment failed: {reason}", self._why)

    def make_way(self, patience: float = 0) -> None:
        """End what CloudFormation still does, so that the next deployment finds a stack at rest.

        Such a stack needs no synthesis for a change of code. An update that is given up leaves the revision before.

        Args:
            patience: How many seconds to wait for the end of an update whose revision serves already.

        Raises:
            DeployError: The stack cannot be brought to rest.
        """
        self.is_over, gave_up = True, False
        deadline = time.monotonic() + patience
        while (stack := self._read_stack()) and stack.in_progress:
            if self.is_live and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            role = self._client.cluster.resources.cloudformation_role
            recover(self._client.cloud, stack, self._say, force=True, role=role)
            gave_up = True
        if self.failure:
            self._end_record(FAILED, self.failure.message)
        elif gave_up:
            self._end_record(INTERRUPTED, SUPERSEDED)

    def _end_record(self, outcome: str, reason: str) -> None:
        """Write into the API's history how it ended: nobody else has seen that."""
        number, self._number = self._number, None
        if number is not None:
            bucket = self._client.cluster.resources.bucket
            RecordStore(self._client.cloud, bucket, self._api).end(number, outcome, reason)

    def serves_alone(self) -> bool:
        """Whether no replica of an earlier revision is left that could answer in the place of a new one."""
        return self._rollout is None or self._rollout.old is None

    def _say(self, text: str) -> None:
        self._tell(Step(self._api, text))

    def _take_in(self, rollout: Rollout) -> None:
        if rollout != self._rollout:
            self._rollout = rollout
            self._tell(Moved(self._api, rollout))

    def _read_stack(self) -> StackState | None:
        return read_stack(self._client.cloud, self._stack_name)

    def _error(self, what: str, to_do: str, details: tuple[str, ...] = ()) -> CortexError:
        aftermath = "" if self._is_first else "the revision before keeps serving; "
        return DeployError(f"{self._api}: {what}", hint=f"{aftermath}{to_do}", details=details)
