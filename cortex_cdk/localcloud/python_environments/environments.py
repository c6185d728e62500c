"""Makes Python environments that stand for images, once for each tag, by the script that the Dockerfile runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
from cortex_serving.contract import (
    CONTEXT_PROJECT,
    CONTEXT_PYTHON_VERSION,
    CONTEXT_SERVING,
    DEPENDENCIES_SCRIPT,
    REQUIREMENTS_FILE,
)

from cortex_cdk.localcloud.containers import orphans
from cortex_cdk.localcloud.containers.sessions import end_session

REQUIREMENTS = f"{CONTEXT_PROJECT}/{REQUIREMENTS_FILE}"
SCRIPT = f"{CONTEXT_PROJECT}/{DEPENDENCIES_SCRIPT}"
INSTALL = f"{CONTEXT_SERVING}/install.sh"
SERVING_PACKAGE = "cortex_serving"
COMPLETE = ".complete"
"""Written last. An environment without this file was interrupted, and is made anew."""
BUILD_TIMEOUT = 3600.0
DRY_RUN = (
    *("pip", "install", "--dry-run", "--offline", "--no-index", "--no-build", "--no-config", "--no-progress"),
    # A Python that the system manages is no obstacle: nothing is installed.
    "--break-system-packages",
)
NO_CHANGES = "Would make no changes"
"""uv's words for a dry run that would install nothing."""

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


def provide(context: Context, place: Path, say: Callable[[str], None]) -> Path:
    """Find or make the environment of a build context.

    Args:
        context: The files of the build.
        place: The folder of the environment. A complete environment is used again.
        say: Takes the lines of the log.

    Returns:
        The folder of the environment's programs.

    Raises:
        CannotBuildError: The environment could not be made.
    """
    if _needs_nothing(context):
        met = "requirements.txt is met" if REQUIREMENTS in context else "The project asks for no packages"
        say(f"{met}: nothing to build, replicas run in {sys.prefix}.")
        return Path(sys.executable).parent
    with _locks[place]:
        if (place / COMPLETE).exists() and has_programs(_binaries(place)):
            say(f"The environment {place} exists already.")
        else:
            _make(context, place, say)
    return _binaries(place)


def has_programs(binaries: Path) -> bool:
    """Return whether an environment has its programs. Its Python may be a link to a Python that was removed."""
    return (binaries / "python").exists()


def end_all() -> None:
    """End the builds that run, because nobody would wait for them any more."""
    for process in list(_running):
        _end(process)


def _needs_nothing(context: Context) -> bool:
    """Return whether replicas can run in the Python that runs the local cloud."""
    others = {name for name in context if name.startswith(f"{CONTEXT_PROJECT}/")}
    others -= {REQUIREMENTS, CONTEXT_PYTHON_VERSION}
    if others or not find_spec(SERVING_PACKAGE):
        return False
    wanted = context[CONTEXT_PYTHON_VERSION].content.decode().split(".") if CONTEXT_PYTHON_VERSION in context else []
    ours = [str(number) for number in sys.version_info[: len(wanted)]]
    if [part.strip() for part in wanted] != ours:
        return False
    return REQUIREMENTS not in context or are_met(context[REQUIREMENTS].content)


def are_met(requirements: bytes) -> bool:
    """Return whether the Python that runs the local cloud meets a requirements file.

    A dry run of uv, without any index, succeeds only if nothing is missing. It takes some 30 ms.

    Args:
        requirements: The content of the file (pip's "Requirements File Format").
    """
    from uv import find_uv_bin

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / REQUIREMENTS_FILE).write_bytes(requirements)
        asked = subprocess.run(  # noqa: S603 - a fixed program with our own arguments
            [find_uv_bin(), *DRY_RUN, "--python", sys.executable, "--requirement", REQUIREMENTS_FILE],
            # Not in the daemon's folder, because a requirement may be a path.
            cwd=folder,
            env={"HOME": str(Path.home()), "PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    # A file may name a folder of wheels. Then uv succeeds, and would install.
    return asked.returncode == 0 and NO_CHANGES in asked.stderr


def _make(context: Context, place: Path, say: Callable[[str], None]) -> None:
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
    _run(["sh", str(sources / INSTALL), str(sources), str(_environment(place)), sys.executable], place, say)
    (place / COMPLETE).touch()


def _run(command: list[str], place: Path, say: Callable[[str], None]) -> None:
    """Run a command for the environment at ``place``, and pass its output on."""
    from uv import find_uv_bin

    home = place / "home"
    variables = {name: value for name, value in os.environ.items() if HANDED_ON.fullmatch(name)}
    own = {"HOME": str(Path.home()), "SCRIPT_HOME": str(home), "UV": find_uv_bin(), "NO_COLOR": "1"}
    with subprocess.Popen(  # noqa: S603 - a fixed program with our own arguments
        command,
        cwd=home,
        env={**variables, **own, "PYTHONUNBUFFERED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
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
