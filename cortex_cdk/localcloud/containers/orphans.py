"""Records the processes of a state folder, and ends the processes that a killed daemon has left."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import psutil

from cortex_cdk.localcloud.containers.sessions import end_session

RECORD = "process.json"


def record(folder: Path, process: psutil.Process) -> None:
    """Write down a session's leader, so that a later daemon finds the process.

    Args:
        folder: The folder that belongs to the process, somewhere below the state folder.
        process: The leader. The creation time tells the leader from a later process with the same id.
    """
    content = json.dumps({"pid": process.pid, "created": process.create_time()})
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
        # The creation time is derived from the boot time, which the system may correct by a little.
        if abs(process.create_time() - float(content["created"])) < 1.0 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
