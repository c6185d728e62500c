"""Golden files: what is printed, to be read by people. ``CORTEX_WRITE_GOLDEN=1 pytest`` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

WRITE = os.environ.get("CORTEX_WRITE_GOLDEN") == "1"


def compare(text: str, file: Path) -> None:
    """Compare a text with a golden file, or write it. Look at the difference before you commit it."""
    if WRITE:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert file.is_file(), f"{file} is missing:\n{text}"
    assert text == file.read_text(), f"{file} says otherwise"
