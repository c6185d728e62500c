"""What containers hold."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from cortex_cdk.localcloud.containers import memory_limit, process_table
from cortex_cdk.localcloud.containers.memory_limit import Holdings
from cortex_cdk.localcloud.containers.process_table import ProcessTable

MIB = 2**20


def test_a_process_is_asked_again_only_when_it_holds_more_or_less(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ask(pids: Iterable[int]) -> int:
        asked.extend(pids)
        return 10 * MIB

    monkeypatch.setattr(memory_limit, "_without_shared", ask)
    monkeypatch.setattr("psutil.LINUX", True)
    holdings = Holdings()

    def look(first: int, second: int) -> dict[int, int]:
        asked.clear()
        return holdings.look([1], ProcessTable({1: [2]}, {1: first, 2: second}))

    assert (look(50 * MIB, 60 * MIB), asked) == ({1: 20 * MIB}, [1, 2])
    assert (look(50 * MIB, 60 * MIB + 4096), asked) == ({1: 20 * MIB}, [])
    assert (look(50 * MIB, 61 * MIB), asked) == ({1: 20 * MIB}, [2])
    holdings.look([], ProcessTable({}, {}))
    assert (look(50 * MIB, 61 * MIB), asked) == ({1: 20 * MIB}, [1, 2])


def test_what_it_says_is_what_the_system_says() -> None:
    me, table = os.getpid(), process_table.read()

    assert Holdings().look([me], table)[me] == pytest.approx(memory_limit.held_once(me, table), rel=0.1)
