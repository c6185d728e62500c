"""Keep a container's output within Docker's ``json-file`` limits while the container goes on writing."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from cortex_cdk.localcloud.containers.launch import OutputLimits


def rotate(path: Path, limits: OutputLimits) -> None:
    """Move a file that has grown too large aside.

    The writer keeps its descriptor (opened for appending), so the file is copied and then cut: what is
    written between the two is lost, which a log that is also shipped elsewhere can bear.

    Args:
        path: The file; older ones are ``<path>.1``, ``<path>.2`` and so on.
        limits: Its size and how many are kept.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size <= limits.max_bytes:
            return
        for number in range(limits.max_files - 1, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                _numbered(path, number - 1).replace(_numbered(path, number))
        if limits.max_files > 1:
            shutil.copyfile(path, _numbered(path, 1))
        os.truncate(path, 0)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
