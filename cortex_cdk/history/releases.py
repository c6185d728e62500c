"""Finds out of the records of an API or splitter how each deployment ended, which serves, and which a user means.

A deployer that was ended (a closed laptop) leaves a record in progress: then the stack tells how it went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.errors import CortexError
from cortex_cdk.history.endings import Endings
from cortex_cdk.history.record import DEPLOYED, FAILED, IN_PROGRESS, INTERRUPTED, ROLL_BACK, Record
from cortex_cdk.history.store import RecordStore
from cortex_cdk.stack_operations.stack import StackState, not_deployed, read_stack

MOST_LISTED = 20
LEAST_DIGITS = 4
"""Digits of a revision that stand for it. Fewer are a number."""
UNRECORDED = "has no history: it was deployed by a version of cortex that kept none"
_UNKNOWN = "CloudFormation undid it, and gave no reason"
_LOST = "whoever deployed it did not stay to the end: it was given up, or never began"


@dataclass(frozen=True)
class History:
    """The deployments of one API or traffic splitter.

    Attributes:
        api: The name of the API or splitter.
        records: The newest first, each with how it ended.
        stack: Its stack; None where it is not deployed.
    """

    api: str
    records: tuple[Record, ...]
    stack: StackState | None

    def __repr__(self) -> str:
        serving = f", {self.serving.name} serves" if self.serving else ""
        count = "1 deployment" if len(self.records) == 1 else f"{len(self.records)} deployments"
        lines = (record.described(self.outcome_of(record)) for record in self.records)
        return "\n".join([f"<{self.api}: {count}{serving}>", *lines])

    @classmethod
    def of(
        cls, api: str, records: Sequence[Record], stack: StackState | None, endings: Endings | None = None
    ) -> History:
        """Complete records that nobody has ended, by what the stack says.

        Args:
            api: The name of the API or splitter.
            records: Its records, the newest first.
            stack: Its stack.
            endings: Knows why a deployment failed; None where there is no cloud to ask.
        """
        ended = (_ended(record, index == 0, stack, endings) for index, record in enumerate(records))
        return cls(api, tuple(ended), stack)

    @property
    def is_settled(self) -> bool:
        """Whether the stack is what its parameters say: no operation runs, and none was left half done."""
        return bool(self.stack and not self.stack.in_progress and not self.stack.status.endswith("_FAILED"))

    @cached_property
    def serving(self) -> Record | None:
        """The record of what serves; None where nothing does, or it was not deployed by a command that keeps records.

        While an update runs, what was deployed before still serves.
        """
        deployed = [record for record in self.records if record.outcome == DEPLOYED]
        if self.stack is None or not self.is_settled:
            return next(iter(deployed), None) if self.stack and self.stack.in_progress else None
        stack = self.stack
        exact = (record for record in deployed if _is(record, stack))
        # A newer version of cortex, or another cluster, gives the same another digest.
        same = (record for record in deployed if record.release.revision == _revision(stack))
        return next(exact, None) or next(same, None)

    def as_json(self) -> dict[str, Any]:
        """What ``cortex history -o json`` prints."""
        serving = self.serving
        return {
            "api": self.api,
            "serving": serving.number if serving else None,
            "deployments": [self._record_as_json(record) for record in self.records],
        }

    def _record_as_json(self, record: Record) -> dict[str, Any]:
        release, by = record.release, self.rolled_back_by(record)
        return {
            "number": record.number,
            "revision": release.revision,
            "serves": record == self.serving,
            "started": record.started.isoformat(),
            "ended": record.ended.isoformat() if record.ended else None,
            "action": record.action,
            "restores": record.restores,
            "outcome": record.outcome,
            "reason": record.reason,
            "rolled_back_by": by.number if by else None,
            "author": record.author,
            "who": record.who,
            "message": record.message,
            "commit": {"id": record.commit.id, "dirty": record.commit.dirty} if record.commit else None,
            "changes": list(record.changes),
            "version": record.version or None,
            "archive": release.archive,
            "configuration": release.configuration,
            "image": release.image,
        }

    def rolled_back_by(self, record: Record) -> Record | None:
        """The roll-back that took the place of a deployment; None where none did."""
        newer = [one for one in reversed(self.records) if one.number > record.number]
        following = next((one for one in newer if one.outcome in (DEPLOYED, IN_PROGRESS)), None)
        if record.outcome not in (DEPLOYED, INTERRUPTED) or following is None or following.action != ROLL_BACK:
            return None
        return None if following.release.serves_as(record.release) else following

    def outcome_of(self, record: Record) -> str:
        """How a deployment ended, in words, and whether it serves."""
        by = self.rolled_back_by(record)
        if record == self.serving:
            return "deployed, serves"
        if by and by.outcome != IN_PROGRESS:
            return f"rolled back by {by.name}"
        return record.outcome.replace("_", " ")

    def find(self, wanted: str) -> Record:
        """Find the record that a user names.

        Args:
            wanted: A number (``3`` or ``v3``), or the beginning of a revision.

        Raises:
            CortexError: There is none, or several revisions begin so; the error lists what there is.
        """
        text = wanted.strip().lower()
        number = int(text.removeprefix("v")) if text.removeprefix("v").isdecimal() else None
        for record in self.records:
            if record.number == number:
                return record
        # The newest of those that served: deployments of one revision may differ in scaling.
        found = [record for record in self.records if record.release.revision.startswith(text)]
        found = found if len(text) >= LEAST_DIGITS else []
        found.sort(key=lambda record: record.outcome != DEPLOYED)
        if len({record.release.revision for record in found}) > 1:
            raise self._refusal(f"{self.api}: several revisions begin with {wanted}", "give more of its digits")
        if not found:
            hint = f"name a number, or at least {LEAST_DIGITS} digits of a revision"
            raise self._refusal(f"{self.api} has no deployment {wanted}", hint)
        return found[0]

    def before_serving(self) -> Record:
        """The record that served before the one that serves.

        Raises:
            CortexError: There is none.
        """
        serving = self.require_serving()
        for record in self.records:
            if record.number < serving.number and record.outcome == DEPLOYED:
                return record
        raise self._refusal(f"{self.api}: nothing was deployed before {serving.name}, which serves", None)

    def require_serving(self) -> Record:
        """The record of what serves, or of what served last.

        Raises:
            CortexError: There is none.
        """
        found = self.serving or next((record for record in self.records if record.outcome == DEPLOYED), None)
        if found is None:
            raise self._refusal(f"{self.api}: no deployment has ended well yet", "correct its files and deploy again")
        return found

    def to_roll_back_to(self) -> Record:
        """The record that a roll-back without a name means: the newest that served before what serves, and differs.

        What was rolled back does not come again: a roll-back stands where the record stands that it restored. While an
        update runs, or where one was left half done, it is the newest that served.

        Raises:
            CortexError: There is none.
        """
        served = [record for record in self.records if record.outcome == DEPLOYED]
        serving = self.serving if self.is_settled else None
        if serving:
            origin = self._origin(serving).number
            served = [one for one in served if one.number < origin and not one.release.serves_as(serving.release)]
        if served:
            return served[0]
        if serving:
            raise self._refusal(*self._nothing_before(serving))
        raise self._refusal(
            f"{self.api}: no deployment has ended well that could be gone back to",
            "correct its files and deploy again, or name one of these",
        )

    def _nothing_before(self, serving: Record) -> tuple[str, str]:
        """Say that nothing is to be gone back to, and what a user may have meant."""
        origin = self._origin(serving)
        again = f", which is {origin.name} again," if origin != serving else ""
        message = f"{self.api}: {serving.name} serves{again} and nothing else was deployed before {origin.name}"
        others = (one for one in self.records if one.outcome == DEPLOYED and not one.release.serves_as(serving.release))
        newest = next(others, None)
        if newest is None:
            return message, "correct its files and deploy again"
        return (
            message,
            f"name the one that is to serve, such as the newest other one: cortex rollback {self.api} {newest.name}",
        )

    def _origin(self, record: Record) -> Record:
        """The deployment that a roll-back restored in the end; other records as they are."""
        by_number = {one.number: one for one in self.records}
        while record.restores in by_number and record.restores != record.number:
            record = by_number[record.restores]
        return record

    def _refusal(self, message: str, hint: str | None) -> CortexError:
        if not self.records:
            return CortexError(f"{self.api} {UNRECORDED}", hint="deploy its files: that begins its history")
        listed = [record.line(self.outcome_of(record)) for record in self.records[:MOST_LISTED]]
        return CortexError(message, hint=hint or f"see what there is with: cortex history {self.api}", details=listed)


def _revision(stack: StackState) -> str:
    """The revision that a stack has; empty for a splitter's."""
    return stack.parameters.get(names.Parameter.REVISION, "")


def _is(record: Record, stack: StackState) -> bool:
    specification = stack.outputs.get(names.Output.SPEC_DIGEST)
    return (record.release.revision, record.release.specification) == (_revision(stack), specification)


def _was_undone(record: Record, stack: StackState) -> bool:
    """Whether what a command saw serve was taken back afterwards, as by an alarm while ECS still watched."""
    if record.outcome != DEPLOYED or stack.in_progress or not stack.failed:
        return False
    if record.release.revision:
        return record.release.revision != _revision(stack)
    return record.release.specification != stack.outputs.get(names.Output.SPEC_DIGEST)


def _cause(record: Record, stack: StackState, endings: Endings | None) -> str:
    return (endings.cause(record, stack) if endings else None) or stack.reason or _UNKNOWN


def _ended(record: Record, is_newest: bool, stack: StackState | None, endings: Endings | None) -> Record:
    if is_newest and stack and _was_undone(record, stack):
        return record.ending(FAILED, _cause(record, stack, endings), at=stack.updated)
    if record.outcome != IN_PROGRESS or (is_newest and stack and stack.in_progress):
        return record
    at = stack.updated if stack and is_newest else None
    if stack and not stack.in_progress and _is(record, stack) and not stack.status.endswith("_FAILED"):
        return record.ending(DEPLOYED, at=at)
    reason = endings.last_words(record) if endings else None
    if stack and stack.failed and is_newest:
        reason = reason or _cause(record, stack, endings)
    return record.ending(FAILED, reason, at=at) if reason else record.ending(INTERRUPTED, _LOST)


def read_history(cloud: Cloud, bucket: str, cluster: str, api: str) -> History:
    """Read the deployments of an API or traffic splitter.

    Args:
        cloud: A session of the environment.
        bucket: The cluster's bucket.
        cluster: The cluster's name.
        api: The name of the API or splitter.

    Raises:
        NotDeployedError: There is none of that name, and no record of one.
    """
    stack = read_stack(cloud, names.api_stack(cluster, api)) or read_stack(cloud, names.splitter_stack(cluster, api))
    records = RecordStore(cloud, bucket, api).read()
    if stack is None and not records:
        raise not_deployed(cloud, cluster, api)
    return History.of(api, records, stack, Endings(cloud, cluster))
