"""Asks git which commit a folder is at.

git is only asked, and never waited for long: it takes no lock, asks nobody, uses no network, and starts no hook or
monitor of the repository. A deployment does without an answer.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cortex_cdk.history.record import Commit

PATIENCE_SECONDS = 5.0
# A hook of git that deploys has variables that name its own repository.
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_HARMLESS = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "protocol.allow=never")
_STATUS = ("--porcelain=v2", "--branch", "--no-renames", "--ignore-submodules=dirty")
_HEAD = "# branch.oid "


def read_commit(folder: Path) -> Commit | None:
    """Read the commit of a project's folder.

    Args:
        folder: The folder. What is around it in its repository does not matter.

    Returns:
        None where the folder has no file in a repository, there is no commit yet, or git does not answer.
    """
    status = _git(folder, "status", *_STATUS, "--", ".")
    if status is None:
        return None
    lines = status.splitlines()
    commit = next((line.removeprefix(_HEAD) for line in lines if line.startswith(_HEAD)), "")
    if not commit or not commit.isalnum() or not _git(folder, "ls-files", "--", "."):
        return None
    return Commit(commit, dirty=any(not line.startswith("#") for line in lines))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it does not answer."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and a folder, no shell
            ["git", *_HARMLESS, "-C", str(folder), *arguments],  # noqa: S607 - the user's git
            env={**environ, **_QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
