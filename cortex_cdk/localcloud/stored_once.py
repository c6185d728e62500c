"""Keeps histories from making each snapshot slower: what has not changed since the last one is not pickled again."""

from __future__ import annotations

import pickle
from typing import Any, TypeVar

Entry = TypeVar("Entry")


class StoredOnce(list[Entry]):
    """A list of entries that never change themselves, but come at the end and go. Its pickle is kept until they do.

    The entries must be nobody else's: a list that was restored has entries of its own.
    """

    _pickled = b""
    _pickled_of: tuple[int, Any, Any] | None = None

    def __reduce_ex__(self, _protocol: Any) -> Any:
        if not self:
            return StoredOnce, ()
        known, now = self._pickled_of, (len(self), self[0], self[-1])
        if known is None or known[0] != now[0] or known[1] is not now[1] or known[2] is not now[2]:
            self._pickled, self._pickled_of = pickle.dumps(list(self), pickle.HIGHEST_PROTOCOL), now
        return _restored, (self._pickled,)


def _restored(pickled: bytes) -> StoredOnce[Any]:
    return StoredOnce(pickle.loads(pickled))  # noqa: S301 - a part of the snapshot, which is trusted as a whole
