"""Keeps records in folders of JSON files, one file for each thing. Writes only the files whose content changes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from cortex_cdk.localcloud.daemon.storage.bodies import write_durably

LONGEST_NAME = 200
"""Characters of a file's name. File systems take 255 bytes, and the scratch file has a longer name."""

Record = dict[str, Any]
"""The stored facts of one thing, as JSON values."""

log = logging.getLogger("cortex.local.records")


class RecordFolder:
    """The records of one kind of thing.

    Args:
        folder: The folder of the files. It is made when the first record comes.
        compact: Whether to write without line breaks, because the files are large and nobody reads them by eye.
    """

    def __init__(self, folder: Path, *, compact: bool = False) -> None:
        self._folder = folder
        self._options = 0 if compact else orjson.OPT_INDENT_2
        self._written: dict[Path, Record] = {}

    def texts(self) -> dict[str, str]:
        """Return the content of each file by its name. A file that cannot be read is left out, and logged."""
        found = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                found[path.name] = path.read_text()
            except (OSError, ValueError) as error:
                log.error("the record %s cannot be read: %s", path, error)
        return found

    def write(self, records: Mapping[str, Record | None]) -> None:
        """Bring the files in line with the records.

        Args:
            records: Records by name. None leaves the file of a name unchanged. Files of all other names are removed.
        """
        wanted = {self._folder / file_name(name): record for name, record in records.items()}
        for path, record in wanted.items():
            if record is not None and self._written.get(path) != record:
                self._write(path, record)
        for path in set(self._folder.glob("*.json")) - wanted.keys():
            path.unlink()
            self._written.pop(path, None)

    def _write(self, path: Path, record: Record) -> None:
        content = orjson.dumps(record, option=self._options | orjson.OPT_APPEND_NEWLINE)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.is_file() or path.read_bytes() != content:
            write_durably(path, content)
        self._written[path] = record


def file_name(name: str) -> str:
    """Return the name of the file for a thing, whose name may have any characters and any length."""
    quoted = quote(name, safe="")
    if len(quoted) > LONGEST_NAME:
        quoted = f"{quoted[: LONGEST_NAME - 65]}-{hashlib.sha256(name.encode()).hexdigest()}"
    return f"{quoted}.json"
