"""Makes the folder of everything that survives the daemon. Only its owner may write there, because the daemon unpickles
and runs what lies in the folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cortex_cdk.errors import LocalCloudError

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def make_state_folder(state: Path) -> None:
    """Make the folder unless it exists, and check who may write to it and to the folder above, as ssh does for keys.

    Raises:
        LocalCloudError: The folder cannot be made or written to, or others may write there, too.
    """
    try:
        # Not by ``parents=True``: the umask would decide the mode of the folder above.
        state.parent.parent.mkdir(parents=True, exist_ok=True)
        for folder in (state.parent, state):
            folder.mkdir(mode=0o700, exist_ok=True)
            _require_own(folder)
        if not os.access(state, os.W_OK | os.X_OK):
            raise PermissionError(0, "Permission denied")
    except OSError as error:
        raise LocalCloudError(
            f"The local cloud cannot keep its state in {state}: {error.strerror}.",
            hint="Set CORTEX_HOME to a folder that you may write to.",
        ) from error


def _require_own(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise LocalCloudError(
            f"{folder} belongs to another user (id {status.st_uid}), who could make the local cloud run anything.",
            hint="Set CORTEX_HOME to a folder of your own.",
        )
    if status.st_mode & WRITABLE_BY_OTHERS:
        raise LocalCloudError(
            f"Other users may write to {folder} (mode {stat.S_IMODE(status.st_mode):o}), "
            "and so make the local cloud run anything.",
            hint=f"Take that away with: chmod go-w {folder}",
        )
