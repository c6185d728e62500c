"""Records the processes of a state folder, and ends the processes that a killed daemon has left."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import psutil

from cortex_cdk.localcloud.containers.process_table import START_TICKS, stat_fields
from cortex_cdk.localcloud.containers.sessions import end_session

RECORD = "process.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def record(folder: Path, process: psutil.Process) -> None:
    """Write down a session's leader, so that a later daemon finds the process.

    Args:
        folder: The folder that belongs to the process, somewhere below the state folder.
        process: The leader. The time of its start tells the leader from a later process with the same id.
    """
    content = json.dumps({"pid": process.pid, "started": _started(process)})
    scratch = folder / f"{RECORD}.new"
    scratch.write_text(content)
    scratch.replace(folder / RECORD)


def forget(folder: Path) -> None:
    """Remove the record of a process that has ended."""
    (folder / RECORD).unlink(missing_ok=True)


def end_all(state: Path) -> list[int]:
    """Kill every recorded session that still lives.

    Call this when no daemon runs: before a daemon starts, or from ``cortex local down`` after a daemon was killed.

    Args:
        state: The state folder of the local cloud.

    Returns:
        The ids of the leaders that were killed.
    """
    ended = []
    folders = ("tasks/*", "images/*", "*")
    for path in (path for folder in folders for path in state.glob(f"{folder}/{RECORD}")):
        leader = _living(path)
        if leader is not None:
            end_session(leader.pid)
            ended.append(leader.pid)
        path.unlink(missing_ok=True)
    return ended


def _living(path: Path) -> psutil.Process | None:
    """Return the process that a record names; None if it has ended, though its id may be in use again."""
    with contextlib.suppress(OSError, ValueError, KeyError, psutil.NoSuchProcess):
        content = json.loads(path.read_text())
        process = psutil.Process(int(content["pid"]))
        if _started(process) == content["started"] and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _started(process: psutil.Process) -> str:
    """Return when a process started, in a form that does not change when somebody sets the clock.

    Linux counts ticks since the boot, whose id is random (proc(5): ``/proc/PID/stat``, ``/proc/sys/kernel/random``).
    """
    try:
        return f"{BOOT_ID.read_text().strip()} {stat_fields(process.pid)[START_TICKS].decode()}"
    except FileNotFoundError:
        return f"{process.create_time():.0f}"
