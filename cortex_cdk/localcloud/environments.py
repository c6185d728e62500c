"""Python environments that stand for images: made once per tag with uv, and reused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from cortex_cdk.localcloud import requirements

REQUIREMENTS = "requirements.txt"
SERVING = "serving_image"
SERVING_PACKAGE = "cortex_serving"
COMPLETE = ".complete"
"""Written last: an environment without it was interrupted and is made anew."""
BUILD_TIMEOUT = 3600.0
PROGRESS = ("Using ", "Creating ", "Resolved ")

_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)


class CannotBuildError(Exception):
    """An environment could not be made; the message is the first useful line of what uv said."""


def provide(context: Mapping[str, bytes], place: Path, say: Callable[[str], None]) -> Path:
    """Find or make the environment of a build context.

    Args:
        context: The files of the context: ``requirements.txt`` and the sources below ``serving_image/``.
        place: The folder of the environment; one that is complete is used again.
        say: Takes the lines of the log.

    Returns:
        The folder of the environment's programs.

    Raises:
        CannotBuildError: It could not be made.
    """
    wanted = context.get(REQUIREMENTS, b"").decode()
    if find_spec(SERVING_PACKAGE) and requirements.are_satisfied(wanted):
        say(f"{REQUIREMENTS} is met by what is installed in {sys.prefix}: nothing to build.")
        return Path(sys.executable).parent
    with _locks[place]:
        if (place / COMPLETE).exists():
            say(f"The environment {place} exists already.")
        else:
            _make(context, place, say)
    return place / "venv" / "bin"


def _make(context: Mapping[str, bytes], place: Path, say: Callable[[str], None]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    sources = place / "context"
    for name, content in context.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    environment = place / "venv"
    _uv(["venv", "--python", sys.executable, str(environment)], sources, say)
    install = ["pip", "install", "--python", str(environment / "bin" / "python")]
    _uv([*install, "--requirements", REQUIREMENTS, f"./{SERVING}"], sources, say)
    (place / COMPLETE).touch()


def _uv(arguments: Sequence[str], folder: Path, say: Callable[[str], None]) -> None:
    """Run uv, hand on what it says, and fail with its first useful line."""
    say(f"uv {' '.join(arguments)}")
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - a fixed program with our own arguments
        [sys.executable, "-m", "uv", *arguments, "--no-progress"],
        cwd=folder,
        # The user's own indexes, proxies and caches count, as they do when the user installs something.
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        killer = threading.Timer(BUILD_TIMEOUT, process.kill)
        killer.start()
        for line in process.stdout or ():
            if line.strip():
                lines.append(line.rstrip())
                say(lines[-1])
        status = process.wait()
        killer.cancel()
    if status:
        raise CannotBuildError(first_useful_line(lines) or f"uv ended with exit code {status}")


def first_useful_line(lines: Sequence[str]) -> str | None:
    """The line of uv's output that says what is wrong: the deepest cause, or else the error itself."""
    causes = [line.partition("cause:")[2].strip() for line in lines if line.lstrip().startswith("cause:")]
    errors = [line for line in lines if line.startswith("error:")]
    useful = [*causes[-1:], *errors, *(line for line in lines if not line.startswith(PROGRESS))]
    return useful[0] if useful else None
