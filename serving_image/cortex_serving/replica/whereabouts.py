"""Says which line of code a thread is at, in words that the author of the code understands."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_OWN = str(Path(__file__).parents[1])
_LONGEST = 80  # characters of a line of code


def whereabouts(thread: int | None, project: Path) -> str:
    """Return the line that a thread is at: that of the project, else that of a library.

    Args:
        thread: The thread's ``threading.get_ident``; None where there is none.
        project: The project folder.

    Returns:
        Such as ``predictor.py:12 in __init__: requests.get(URL)``.
    """
    frame = sys._current_frames().get(thread or 0)
    frames = list(_outwards(frame)) if frame else []
    theirs = [one for one in frames if not one.f_code.co_filename.startswith((_OWN, "<"))]
    of_project = [one for one in theirs if one.f_code.co_filename.startswith(f"{project}/")]
    found = next(iter(of_project or theirs), None)
    return _in_words(found, project) if found else "nothing of the project runs yet"


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _in_words(frame: FrameType, project: Path) -> str:
    path, number = Path(frame.f_code.co_filename), frame.f_lineno
    shown = path.relative_to(project) if path.is_relative_to(project) else Path(*path.parts[-2:])
    code = linecache.getline(str(path), number).strip()[:_LONGEST]
    return f"{shown}:{number} in {frame.f_code.co_name}" + (f": {code}" if code else "")
