"""Runs the tests that depend on the interpreter with each Python that is found here: ``make test-pythons``.

A version that ``pyproject.toml`` promises (its classifiers) must pass. A newer one is tried, too: what fails first is
shown, and fails nothing.

    python .ci/pythons.py UV          every version that is found
    python .ci/pythons.py UV --ends   the oldest and the newest promised one, beside the one that runs this program
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLASSIFIER = re.compile(r'"Programming Language :: Python :: 3\.(\d+)"')
NEWER = 3
"""How many versions after the newest promised one are looked for."""
MAKE = ("make", "test-python", "--no-print-directory", "COMPILE=")
FAILURE = re.compile(r"\s*(?:\u00d7|error\b|ERROR\b|FAILED\b|make.*\*\*\*)")
"""The first such line of uv, pytest or make is the reason of a failure."""


@dataclass(frozen=True)
class Result:
    """How the tests ended with one Python.

    Attributes:
        minor: Its version is ``3.<minor>``.
        promised: Whether the packages promise to run on it.
        reason: The first line that says what failed; None if nothing did.
        minutes: How long it took.
    """

    minor: int
    promised: bool
    reason: str | None
    minutes: float

    def __str__(self) -> str:
        outcome = f"failed: {self.reason}" if self.reason else "passed"
        return f"Python 3.{self.minor}{'' if self.promised else ' (not promised)'} {outcome} ({self.minutes:.0f} min)"


def main() -> int:
    uv, ends = sys.argv[1], "--ends" in sys.argv[2:]
    promised = sorted(int(minor) for minor in CLASSIFIER.findall((ROOT / "pyproject.toml").read_text()))
    candidates = promised if ends else range(promised[0], promised[-1] + 1 + NEWER)
    found = {minor: path for minor in candidates if (path := find(uv, minor))}
    for minor in promised:
        if minor not in found:
            say(f"Python 3.{minor} is promised, but not found here")
    own = sys.version_info.minor
    chosen = sorted({min(found), max(found)} - {own}) if ends and found else sorted(found)
    if not chosen:
        say(f"no other Python is found here: the tests have run on 3.{own} only")
    results = [test(minor, found[minor], promised=minor in promised) for minor in chosen]
    for result in results:
        say(str(result))
    return int(any(result.reason and result.promised for result in results))


def find(uv: str, minor: int) -> Path | None:
    """The interpreter of a version: one of uv's or pyenv's, or ``python3.x`` on the ``PATH``."""
    done = subprocess.run(  # noqa: S603 - our own arguments
        [uv, "python", "find", "--no-project", "--system", "--no-python-downloads", f"3.{minor}"],
        # pyenv's python3.x works only where pyenv is told to use it.
        env={**os.environ, "PYENV_VERSION": f"3.{minor}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def test(minor: int, interpreter: Path, *, promised: bool) -> Result:
    """Run ``make test-python`` with an interpreter, in an environment of its own."""
    say(f"Python 3.{minor}: {interpreter}")
    started = time.monotonic()
    reason = None
    with subprocess.Popen(  # noqa: S603 - our own arguments
        [*MAKE, f"VENV=.venv-3.{minor}", f"PYTHON={interpreter}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if reason is None and FAILURE.match(line):
                reason = line.strip()
    failed = reason or f"exit code {process.returncode}"
    return Result(minor, promised, failed if process.returncode else None, (time.monotonic() - started) / 60)


def say(text: str) -> None:
    """Print a line of ours among those of the tests."""
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
