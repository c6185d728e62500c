"""Lists the GPUs of this machine, by ``nvidia-smi``."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

TIMEOUT = 10.0


@cache
def devices() -> tuple[str, ...]:
    """Return the indices of this machine's GPUs; empty without a driver. The driver is asked once per process."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listing = subprocess.run(  # noqa: S603 - a fixed command
            [program, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listing.stdout.splitlines() if line.strip())
