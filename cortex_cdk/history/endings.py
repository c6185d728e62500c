"""Finds out why a deployment failed that nobody saw end: nobody waited, or whoever waited was stopped (Ctrl-C)."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from cortex_serving.contract import FATAL_EVENT

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.errors import CortexError
from cortex_cdk.history.record import Record
from cortex_cdk.logs import search
from cortex_cdk.stack_operations.events import last_operation
from cortex_cdk.stack_operations.stack import StackState

_CLOCKS_DIFFER = timedelta(minutes=1)


class Endings:
    """Knows why deployments of a cluster's APIs failed. Asks for it only where a record does not say.

    Args:
        cloud: A session of the environment.
        cluster: The cluster's name.
    """

    def __init__(self, cloud: Cloud, cluster: str) -> None:
        self._cloud = cloud
        self._cluster = cluster

    def last_words(self, record: Record) -> str | None:
        """What a replica of a deployment said when it gave up; None where none did, or that cannot be read."""
        from botocore.exceptions import BotoCoreError, ClientError

        group = names.log_group(self._cluster, record.api)
        with suppress(ClientError, BotoCoreError, CortexError):
            for said in search(self._cloud, group, FATAL_EVENT, record.started - _CLOCKS_DIFFER):
                if said.revision == record.release.revision and said.fields.get("event") == FATAL_EVENT:
                    return f"the replica failed: {said.message}"
        return None

    def cause(self, record: Record, stack: StackState) -> str | None:
        """What a deployment's operation on its stack failed with; None where nothing did, or that cannot be read."""
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(ClientError, BotoCoreError):
            operation = last_operation(self._cloud, stack.id)
            if operation and operation.cause and operation.ended > record.started - _CLOCKS_DIFFER:
                return operation.cause.explanation
        return None
