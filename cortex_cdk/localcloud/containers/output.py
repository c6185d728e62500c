"""Keeps a container's output within the limits of Docker's ``json-file`` driver, while the container writes on."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from cortex_cdk.localcloud.containers.launch import OutputLimits


def rotate(path: Path, limits: OutputLimits) -> None:
    """Move a file aside that has grown too large.

    The writer keeps its descriptor (opened for appending), so the file is copied and then cut. Lines written between
    the two are lost. The replica also ships its logs itself, so that is no loss for users.

    Args:
        path: The file. Older files are ``<path>.1``, ``<path>.2`` and so on.
        limits: The largest size, and how many files to keep.
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
