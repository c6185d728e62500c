"""The files of a packed project, without their contents."""

from __future__ import annotations

import io
import zipfile

FileMark = tuple[int, int, int]
"""What tells one content of a file from another: CRC-32, size in bytes, permissions."""


def listing(archive: io.BufferedIOBase | None) -> dict[str, FileMark]:
    """List the files of an archive.

    Args:
        archive: The archive, which is closed afterwards; None where there is none.

    Returns:
        By path; empty where there is no archive, or it cannot be read.
    """
    if archive is None:
        return {}
    try:
        with archive, zipfile.ZipFile(archive) as packed:
            return {entry.filename: (entry.CRC, entry.file_size, entry.external_attr) for entry in packed.infolist()}
    except (zipfile.BadZipFile, OSError):
        return {}
