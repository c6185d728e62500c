"""Keeps a record of each deployment in the history: before the stack is changed, and once more at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.deploy.plan import StackPlan
from cortex_cdk.history.endings import Endings
from cortex_cdk.history.record import (
    DEPLOY,
    DEPLOYED,
    Commit,
    ConfigFile,
    Record,
    Release,
    digest_of,
    now,
)
from cortex_cdk.history.releases import History
from cortex_cdk.history.store import RecordStore
from cortex_cdk.names import Resource
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.stack_operations.stack import StackState, read_stack
from cortex_cdk.synthesis.deployed_configuration import read_configuration
from cortex_cdk.synthesis.specs import ApiStackSpec

_BEFORE = ("deployed before a history was kept",)


@dataclass(frozen=True)
class Occasion:
    """Why, and what from, a command deploys: the same for all of its APIs and splitters.

    Attributes:
        action: ``deploy`` or ``rollback``.
        restores: The number of the record that a roll-back deploys again.
        message: Why, in the user's words.
        commit: The project's commit.
        file: The configuration file.
    """

    action: str = DEPLOY
    restores: int | None = None
    message: str | None = None
    commit: Commit | None = None
    file: ConfigFile | None = None


class Recorder:
    """Writes the records of one command.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
        progress: Hears what could not be written.
        occasion: What all records have in common.
    """

    def __init__(self, cloud: Cloud, cluster: RunningCluster, progress: Progress, occasion: Occasion) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._bucket = cluster.resources.bucket
        self._progress = progress
        self._occasion = occasion

    @cached_property
    def _who(self) -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._cloud.sts.get_caller_identity()["Arn"]
        except (BotoCoreError, ClientError):
            # A deployment does not need to know.
            return None

    def begin(self, plan: StackPlan, changes: Sequence[str]) -> Record:
        """Write that a deployment begins. Nothing that runs has been changed yet, so that a failure loses nothing.

        Args:
            plan: What is deployed.
            changes: What that changes, one line each.

        Returns:
            The record.
        """
        spec, release, resource = plan.release.spec, plan.release, plan.release.resource
        store = RecordStore(self._cloud, self._bucket, resource.name)
        newest = store.newest()
        if newest:
            # Its command did not wait, or not until ECS had watched it for long enough. Once the stack is another one,
            # nobody could tell how that deployment ended.
            [known] = History.of(newest.api, [newest], plan.stack, Endings(self._cloud, self._cluster.name)).records
            if known != newest:
                store.write(known)
        elif newest is None and plan.stack and not plan.stack.never_worked:
            self._note_before(store, resource.name, plan.stack)
        occasion = self._occasion
        return store.add(
            Record(
                api=resource.name,
                number=0,
                release=Release(
                    revision=release.revision,
                    archive=release.project_digest,
                    configuration=digest_of(resource.model_dump(mode="json")),
                    specification=spec.digest,
                    image=release.image,
                    file=occasion.file if isinstance(spec, ApiStackSpec) else None,
                ),
                started=now(),
                action=occasion.action,
                restores=occasion.restores,
                who=self._who,
                message=occasion.message,
                commit=occasion.commit,
                version=version("cortex-cdk"),
                changes=tuple(changes),
                kind=resource.kind,
            )
        )

    def _note_before(self, store: RecordStore, api: str, stack: StackState) -> None:
        """Make the record of an API as deployed before records were kept, so that it can be gone back to."""
        digest = stack.outputs.get(names.Output.SPEC_DIGEST, "")
        configuration = read_configuration(self._cloud, self._bucket, digest)
        key = stack.parameters.get(names.Parameter.PROJECT_KEY, "")
        if not configuration or not key or stack.in_progress or stack.failed:
            return
        release = Release(
            revision=stack.parameters.get(names.Parameter.REVISION, ""),
            archive=key.removeprefix(names.project_prefix(api)).removesuffix(".zip"),
            configuration=digest_of(configuration),
            specification=digest,
            image=stack.parameters.get(names.Parameter.IMAGE, ""),
        )
        store.add(
            Record(api, 0, release, started=stack.updated, ended=stack.updated, outcome=DEPLOYED, changes=_BEFORE)
        )

    def end(self, record: Record, outcome: str, reason: str | None = None) -> None:
        """Write how a deployment ended, and drop the records that are too many. A failure is told, and changes nothing.

        Args:
            record: What ``begin`` gave.
            outcome: How the deployment ended.
            reason: Why, where it did not do what was asked for.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        store = RecordStore(self._cloud, self._bucket, record.api)
        try:
            store.write(record.ending(outcome, reason, at=now()))
            self._drop_old(store, Resource(record.kind, record.api))
        except (BotoCoreError, ClientError) as error:
            said = error_message(error) if isinstance(error, ClientError) else str(error)
            self._progress.step(record.api, f"warning: its history could not be written to the end: {said}")

    def _drop_old(self, store: RecordStore, resource: Resource) -> None:
        stack = read_stack(self._cloud, names.stack_of(self._cluster.name, resource))
        if stack is None or stack.in_progress:
            return
        digest = stack.outputs.get(names.Output.SPEC_DIGEST, "")
        project = stack.parameters.get(names.Parameter.PROJECT_KEY, "")
        store.drop_old(needed={project, names.configuration_key(digest)})
