"""Records of processes, by which a later daemon finds those that a killed one has left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil

from cortex_cdk.localcloud.containers import orphans


def test_a_record_does_not_depend_on_the_clock(tmp_path: Path) -> None:
    """psutil's creation time moves with the clock that somebody sets: the record has none."""
    task = tmp_path / "tasks" / "t1"
    task.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as child:
        process = psutil.Process(child.pid)
        orphans.record(task, process)
        kept = json.loads((task / "process.json").read_text())
        assert str(int(process.create_time())) not in kept["started"]
        assert orphans.end_all(tmp_path) == [child.pid]
        assert child.wait() == -9
