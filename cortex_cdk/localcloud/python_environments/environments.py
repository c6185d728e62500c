"""Makes Python environments that stand for images, once for each tag, by the script that the Dockerfile runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from cortex_serving.contract import (
    CONTEXT_PROJECT,
    CONTEXT_SERVING,
    DEPENDENCIES_SCRIPT,
)

from cortex_cdk.localcloud.containers import orphans
from cortex_cdk.localcloud.containers.sessions import end_session
from cortex_cdk.localcloud.python_environments import pip_configuration

SCRIPT = f"{CONTEXT_PROJECT}/{DEPENDENCIES_SCRIPT}"
INSTALL = f"{CONTEXT_SERVING}/install.sh"
COMPLETE = ".complete"
"""Written last. An environment without this file was interrupted, and is made anew."""
BUILD_TIMEOUT = 3600.0
TORCH_BACKEND = re.compile(rb"^ARG UV_TORCH_BACKEND=(\w+)", re.MULTILINE)
"""The line of a Dockerfile that says which wheels of PyTorch the image gets."""
NOT_FOUND = re.compile(r"not found in the package registry|there (?:is|are) no versions? of|not found in the cache")
"""uv's words for a package, or a version, that no index has."""

HANDED_ON = re.compile(
    r"PATH|USER|LOGNAME|SHELL|TZ|TMPDIR|LANG|LC_\w+|(?:https?|ftp|all|no)_proxy|"
    r"(?:SSL|REQUESTS|CURL|UV|PIP|CONDA|MAMBA|XDG|PYENV)_\w+",
    re.IGNORECASE,
)
"""The variables that a build gets: the user's indexes, proxies and caches, as when the user installs something. A
script of a project must not see the rest of the daemon's environment."""

_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
_running: set[subprocess.Popen[str]] = set()


class CannotBuildError(Exception):
    """An environment could not be made. The message has CodeBuild's words; the cause is in the build's log."""


@dataclass(frozen=True)
class ContextFile:
    """A file of a build context.

    Attributes:
        content: The bytes.
        executable: Whether the file may be executed.
    """

    content: bytes
    executable: bool = False


Context = Mapping[str, ContextFile]
"""The files of a build context by path: ``project/`` (perhaps with ``.python-version``) and ``serving_image/``."""


def provide(context: Context, place: Path, say: Callable[[str], None], *, fresh: bool = False) -> Path:
    """Find or make the environment of a build context.

    uv links packages from its cache, and asks an index only for what the cache lacks.

    Args:
        context: The files of the build.
        place: The folder of the environment. A complete environment is used again.
        say: Takes the lines of the log.
        fresh: Whether to ask for the newest packages, though the cache may have older ones that would do.

    Returns:
        The folder of the environment's programs.

    Raises:
        CannotBuildError: The environment could not be made.
    """
    with _locks[place]:
        if (place / COMPLETE).exists() and has_programs(_binaries(place)):
            say(f"The environment {place} exists already.")
        else:
            _make(context, place, say, fresh=fresh)
    return _binaries(place)


def has_programs(binaries: Path) -> bool:
    """Return whether an environment has its programs. Its Python may be a link to a Python that was removed."""
    return (binaries / "python").exists()


def end_all() -> None:
    """End the builds that run, because nobody would wait for them any more."""
    for process in list(_running):
        _end(process)


def _make(context: Context, place: Path, say: Callable[[str], None], *, fresh: bool) -> None:
    shutil.rmtree(place, ignore_errors=True)
    sources, home = place / "context", place / "home"
    for name, file in context.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)
    home.mkdir(parents=True, exist_ok=True)
    if SCRIPT in context:
        say(f"==> dependencies.sh will run on this machine, as you, with {home} as its HOME")
    pip = pip_configuration.read(os.environ, Path.home())
    for line in pip.notes:
        say(line)
    variables = {**pip.variables, **_torch(context), **({} if fresh else {"CACHE_FIRST": "1"})}
    command = ["sh", str(sources / INSTALL), str(sources), str(_environment(place)), sys.executable]
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        say(line)

    try:
        _run(command, place, variables, hear)
    except CannotBuildError:
        if pip.unused and any(NOT_FOUND.search(line) for line in said):
            say(f"hint: {pip.unused}")
        raise
    (place / COMPLETE).touch()


def _torch(context: Context) -> dict[str, str]:
    """Return the variable that chooses the wheels of PyTorch, as in the image."""
    dockerfile = context.get("Dockerfile")
    found = TORCH_BACKEND.search(dockerfile.content) if dockerfile else None
    return {"UV_TORCH_BACKEND": found[1].decode()} if found else {}


def _run(command: list[str], place: Path, chosen: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Run a command for the environment at ``place``, and pass its output on.

    Args:
        command: Program and arguments.
        place: The folder of the environment.
        chosen: Variables of the command, where the user has not set them.
        say: Takes the lines.
    """
    from uv import find_uv_bin

    home = place / "home"
    variables = {name: value for name, value in os.environ.items() if HANDED_ON.fullmatch(name)}
    own = {"HOME": str(Path.home()), "SCRIPT_HOME": str(home), "UV": find_uv_bin(), "NO_COLOR": "1"}
    with subprocess.Popen(  # noqa: S603 - a fixed program with our own arguments
        command,
        cwd=home,
        env={**chosen, **variables, **own, "PYTHONUNBUFFERED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        _running.add(process)
        orphans.record(place, psutil.Process(process.pid))
        killer = threading.Timer(BUILD_TIMEOUT, _end, [process])
        killer.start()
        try:
            for line in process.stdout or ():
                if line.strip():
                    say(line.rstrip())
            status = process.wait()
        finally:
            killer.cancel()
            _running.discard(process)
            orphans.forget(place)
    if status:
        script = Path(command[1]).name
        raise CannotBuildError(f"Error while executing command: {script}. Reason: exit status {status}")


def _end(process: subprocess.Popen[str]) -> None:
    end_session(process.pid)  # processes of a script must not go on, nor hold the pipe open


def _environment(place: Path) -> Path:
    return place / "environment"


def _binaries(place: Path) -> Path:
    return _environment(place) / "bin"
