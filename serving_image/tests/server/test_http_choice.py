"""Which changes of ``cortex_serving.server`` are used."""

from __future__ import annotations

import pytest

from cortex_serving.errors import SpecError
from cortex_serving.server import CHANGES, chosen


def test_changes_are_chosen_by_name() -> None:
    assert chosen(None) == chosen("") == frozenset(CHANGES)
    assert chosen("stock") == frozenset()
    assert chosen("-direct") == frozenset(CHANGES) - {"direct"}
    assert chosen("-epoll") == frozenset(CHANGES) - {"epoll", "leader", "together"}
    assert chosen("reply,direct") == {"reply", "direct"}
    assert chosen("whole") == {"whole", "bodies", "request"}
    assert chosen("-request") == frozenset(CHANGES) - {"request", "bodies", "whole"}
    with pytest.raises(SpecError, match="known are stock"):
        chosen("warp")
