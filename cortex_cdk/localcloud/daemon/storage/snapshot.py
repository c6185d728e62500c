"""Turns the whole account into bytes, and bytes into the account."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import moto
from moto.core.base_backend import BackendDict
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends

from cortex_cdk.localcloud.daemon.storage.bodies import Bodies
from cortex_cdk.localcloud.daemon.storage.pickling import Pickler, Unpickler, registries, registry, registry_name
from cortex_cdk.localcloud.services.logs.kept_events import forget_oldest
from cortex_cdk.localcloud.services.s3.kept_tags import forget_tags_of_gone_objects

FORMAT = 3
"""Raise this when a stored class of ours changes so that older snapshots cannot be read."""
READABLE = (2, FORMAT)
"""Format 2 has the same content. Its classes lived in other modules (``pickling.MOVED``)."""

_LEFT_OUT: set[tuple[str, str]] = set()
"""Registries of services whose back ends cannot be pickled."""

log = logging.getLogger("cortex.local.storage")


class UnreadableError(Exception):
    """A snapshot cannot be read: another version made it, or the snapshot is damaged. The text says which."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot, and the bodies that the snapshot refers to.

    Attributes:
        content: The bytes to store.
        bodies: Names of the bodies of all S3 objects.
    """

    content: bytes
    bodies: frozenset[str]


def take(bodies: Bodies) -> Snapshot:
    """Copy the account. The caller holds the lock.

    Args:
        bodies: Takes the bodies of objects that are not stored yet.
    """
    _forget()
    kept = [known for known in registries() if registry_name(known) not in _LEFT_OUT]
    try:
        return _taken(kept, bodies)
    except Exception:
        # A tool may have used a service that we do not use, and whose back end cannot be pickled.
        unstorable = [known for known in kept if not _is_storable(known, bodies)]
        if not unstorable:
            raise
    for known in unstorable:
        _LEFT_OUT.add(registry_name(known))
        log.warning(
            "what %s holds is not kept over a restart: moto's objects of it cannot be stored", known.service_name
        )
    return take(bodies)


def _forget() -> None:
    """Let go what nobody will miss and what would only grow."""
    logs: Any
    objects: Any
    for _, _, logs in logs_backends.iter_backends():
        for group in logs.groups.values():
            forget_oldest(group)
    for _, _, objects in s3_backends.iter_backends():
        forget_tags_of_gone_objects(objects)


def _taken(kept: Sequence[BackendDict[Any]], bodies: Bodies) -> Snapshot:
    stream = io.BytesIO()
    stream.write(json.dumps(_header()).encode() + b"\n")
    pickler = Pickler(stream, bodies)
    pickler.dump([_registry_state(known) for known in kept])
    return Snapshot(stream.getvalue(), frozenset(pickler.body_names))


def _is_storable(known: BackendDict[Any], bodies: Bodies) -> bool:
    try:
        _taken([known], bodies)
    except Exception:
        return False
    return True


def restore(content: bytes, bodies: Bodies) -> None:
    """Put the account of a snapshot in place. The caller holds the lock, and no back end has been used yet.

    Raises:
        UnreadableError: The snapshot cannot be read. Nothing was changed.
    """
    header, _, pickled = content.partition(b"\n")
    _check(header)
    try:
        states = Unpickler(io.BytesIO(pickled), bodies).load()
    except Exception as error:
        raise UnreadableError(f"it is damaged: {type(error).__name__}: {error}") from error
    for name, extra, backends in states:
        target = registry(*name)
        vars(target).update(extra)
        for account, region, backend in backends:
            dict.__setitem__(target[account], region, backend)


def _header() -> dict[str, Any]:
    return {"format": FORMAT, "moto": moto.__version__}


def _check(header: bytes) -> None:
    try:
        found = json.loads(header)
    except ValueError:
        raise UnreadableError("it is damaged: it has no header") from None
    if not isinstance(found, dict) or {**found, "format": FORMAT} != _header() or found.get("format") not in READABLE:
        raise UnreadableError(f"it was made by another version ({found}, this one is {_header()})")


def _registry_state(known: BackendDict[Any]) -> tuple[tuple[str, str], dict[str, Any], list[tuple[str, str, Any]]]:
    # Some registries keep data of their own beside the back ends (S3: the account of each bucket).
    common = vars(BackendDict(known.backend, known.service_name))
    extra = {name: value for name, value in vars(known).items() if name not in common}
    return registry_name(known), extra, list(known.iter_backends())
