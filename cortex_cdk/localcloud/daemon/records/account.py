"""Writes all records of the account when something has changed, and makes the account again from them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cortex_cdk.localcloud.cloudformation.recreation import RecreationError
from cortex_cdk.localcloud.daemon.records import (
    buckets,
    certificates,
    hosted_zones,
    images,
    log_groups,
    parameters,
    secrets,
    stacks,
)
from cortex_cdk.localcloud.daemon.records.identifiers import Identifiers
from cortex_cdk.localcloud.daemon.records.store import Record, RecordFolder
from cortex_cdk.localcloud.daemon.storage.bodies import Bodies

Restore = Callable[[Record], None]
log = logging.getLogger("cortex.local.records")


@dataclass
class Rebuilt:
    """The outcome of making the account again.

    Attributes:
        stacks: The names of the stacks that are back.
        problems: One line for each thing that is not back: its name and the reason.
    """

    stacks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class AccountRecords:
    """The records of the account.

    Args:
        folder: The folder of the records, with a folder for each kind.
        bodies: The bodies of S3 objects.
    """

    def __init__(self, folder: Path, bodies: Bodies) -> None:
        self._bodies = bodies
        self._stacks = stacks.StackRecords()
        self._folders = {
            module.FOLDER: RecordFolder(folder / module.FOLDER, compact=module is log_groups)
            for module in (stacks, buckets, images, certificates, parameters, secrets, hosted_zones, log_groups)
        }

    def write(self, *, log_events: bool = False) -> set[str]:
        """Bring the records in line with the account. The caller holds the lock.

        Args:
            log_events: Whether to write log groups, too.

        Returns:
            The names of the bodies that the recorded objects have.
        """
        kept = buckets.read(self._bodies)
        self._folders[buckets.FOLDER].write(kept)
        self._folders[stacks.FOLDER].write(self._stacks.read())
        self._folders[images.FOLDER].write(images.read())
        self._folders[certificates.FOLDER].write(certificates.read())
        self._folders[parameters.FOLDER].write(parameters.read())
        self._folders[secrets.FOLDER].write(secrets.read())
        self._folders[hosted_zones.FOLDER].write(hosted_zones.read())
        if log_events:
            self._folders[log_groups.FOLDER].write(log_groups.read())
        return {name for record in kept.values() for name in buckets.bodies_of(record)}

    def rebuild(self) -> Rebuilt:
        """Make the account again. The caller holds the lock, and no back end has been used yet."""
        result = Rebuilt()
        stored = list(self._stored_stacks(result))
        owned = {resource["id"] for stack in stored for resource in stack.record["resources"].values()}
        # Stacks refer to these. One that a stack has made comes with the stack.
        self._restore(certificates.FOLDER, "arn", certificates.restore, owned, result)
        self._restore(parameters.FOLDER, "name", parameters.restore, owned, result)
        self._restore(secrets.FOLDER, "arn", secrets.restore, owned, result)
        self._restore(hosted_zones.FOLDER, "id", hosted_zones.restore, owned, result)
        _restore_stacks(stored, result)
        # Stacks have made most of these. Now they get their content.
        self._restore(buckets.FOLDER, "name", lambda record: self._restore_bucket(record, result), set(), result)
        self._restore(images.FOLDER, "name", images.restore, set(), result)
        self._restore(log_groups.FOLDER, "name", log_groups.restore, set(), result)
        return result

    def _restore_bucket(self, record: Record, result: Rebuilt) -> None:
        for key in buckets.restore(record, self._bodies):
            result.problems.append(f"object {key} of bucket {record['name']}: its content is gone")

    def _stored_stacks(self, result: Rebuilt) -> Iterator[stacks.StoredStack]:
        for file, text in self._folders[stacks.FOLDER].texts().items():
            try:
                yield stacks.StoredStack.of(file, text)
            except ValueError as error:
                result.problems.append(f"stack of {file}: the record cannot be read: {error}")

    def _restore(self, folder: str, key: str, restore: Restore, owned: set[str], result: Rebuilt) -> None:
        for file, text in self._folders[folder].texts().items():
            try:
                record: Mapping[str, object] = json.loads(text)
                if record[key] not in owned:
                    restore(dict(record))
            except Exception as error:
                log.exception("the record %s/%s cannot be restored", folder, file)
                result.problems.append(f"{folder}/{file}: {type(error).__name__}: {error}")


def _restore_stacks(stored: list[stacks.StoredStack], result: Rebuilt) -> None:
    identifiers = Identifiers()
    for stack in stacks.in_order(stored):
        try:
            stacks.bring_back(stack, identifiers)
            result.stacks.append(stack.name)
        except RecreationError as error:
            result.problems.append(f"stack {stack.name}: {error}")
        except Exception as error:
            log.exception("the record of the stack %s cannot be restored", stack.name)
            result.problems.append(f"stack {stack.name}: {type(error).__name__}: {error}")
