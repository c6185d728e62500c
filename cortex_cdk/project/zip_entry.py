"""Entries of zip archives that are the same for the same content: no times, no users, no other permissions."""

from __future__ import annotations

import stat
import zipfile

_OLDEST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_UNIX = 3  # of "version made by" (APPNOTE.TXT 4.4.2): permissions are kept then, on whatever system this runs


def zip_entry(name: str, *, executable: bool) -> zipfile.ZipInfo:
    """Describe a compressed file of an archive.

    Args:
        name: Path in the archive, with ``/`` between its parts.
        executable: Whether everybody may execute the file.
    """
    entry = zipfile.ZipInfo(name, _OLDEST_TIME)
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
