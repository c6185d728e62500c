"""Names the folder that holds all local state, and the files in it."""

from __future__ import annotations

import os
from pathlib import Path


def cortex_home() -> Path:
    """Return ``$CORTEX_HOME``, or ``~/.cortex``. The folder need not exist."""
    return Path(os.environ.get("CORTEX_HOME") or Path.home() / ".cortex")


def environments_file() -> Path:
    """Return the file that lists the user's environments."""
    return cortex_home() / "environments.yaml"


def build_logs_folder() -> Path:
    """Return the folder with the logs of image builds that failed."""
    return cortex_home() / "build-logs"
