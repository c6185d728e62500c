"""A user's mistake: files, a command, and the message that must come back (a golden file)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from tests import golden_file
from tests.conftest import ROOT, Cortex

GOLDEN = ROOT / "tests/golden/mistakes"

CONFIG = """\
- name: text
  kind: RealtimeAPI
  predictor:
    type: python
    path: predictor.py
  compute: {cpu: 50m, mem: 128Mi}
"""
PREDICTOR = """\
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""

Content = str | bytes | int | Path | None
"""What a file holds; a number for so many zero bytes, a path for a link to it, None for no file."""
SPARSE = 600 * 2**20


@dataclass(frozen=True)
class Mistake:
    """One mistake, made in a project that is otherwise right.

    Attributes:
        name: Name of the golden file.
        files: What differs from a correct project, by path.
        arguments: The command. ``{port}`` stands for a port that is in use, ``{url}`` for a server of the test's.
        environ: Variables of the command, likewise; ``{home}`` stands for ``CORTEX_HOME``.
        home: Files below ``CORTEX_HOME``, likewise.
        exit_code: 1 for what cannot be done, 2 for what cannot be understood.
        stdin: What the command reads.
        folder: Where the command runs, seen from the project.
    """

    name: str
    files: Mapping[str, Content] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("deploy",)
    environ: Mapping[str, str] = field(default_factory=dict)
    home: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 1
    stdin: str = ""
    folder: str = "."

    def write(self, project: Path) -> None:
        """Write the project with its mistake."""
        write_files(project, {"cortex.yaml": CONFIG, "predictor.py": PREDICTOR, **self.files})


def write_files(folder: Path, files: Mapping[str, Content]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            path.symlink_to(content)
        elif isinstance(content, int):
            with path.open("wb") as file:
                file.truncate(content)
        elif content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def config(old: str, new: str) -> dict[str, str]:
    """The correct configuration with one thing changed."""
    assert old in CONFIG
    return {"cortex.yaml": CONFIG.replace(old, new, 1)}


def predictor(old: str, new: str) -> dict[str, str]:
    """The correct predictor with one thing changed."""
    assert old in PREDICTOR
    return {"predictor.py": PREDICTOR.replace(old, new, 1)}


def commit(cortex: Cortex, mistake: Mistake, project: Path, **known: str) -> None:
    """Make a mistake, and compare the message and the exit code with the golden file.

    Args:
        known: What is different each time, by the name that stands for it in table and golden file.
    """
    known = {"project": str(project), "home": str(cortex.home), **known}
    arguments = [filled(argument, known) for argument in mistake.arguments]
    environ = {name: filled(value, known) for name, value in mistake.environ.items()}
    done = cortex.run(*arguments, cwd=project / mistake.folder, stdin=mistake.stdin, environ=environ)
    compare(mistake.name, mistake.arguments, done, known)
    assert done.returncode == mistake.exit_code


def filled(text: str, known: Mapping[str, str]) -> str:
    """The text with ``{name}`` replaced by what is known under that name."""
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def compare(name: str, command: tuple[str, ...], done: CompletedProcess[str], known: Mapping[str, str]) -> None:
    """Compare what a command wrote to stderr with its golden file."""
    # How far an operation had come by then is another matter.
    start = re.search(r"^error: ", done.stderr, re.MULTILINE)
    text = normal(done.stderr[start.start() if start else 0 :], known)
    shown = f"$ cortex {' '.join(command)}\n{text}exit code {done.returncode}\n"
    golden_file.compare(shown, GOLDEN / f"{name}.txt")
    assert done.returncode != 0
    error = [line for line in done.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(error) == 1, "there must be one line that says what happened"


def normal(text: str, known: Mapping[str, str]) -> str:
    """Text without what is different each time: folders, ports, ids, times, and the Python that runs the tests."""
    for name, value in sorted(known.items(), key=lambda item: -len(item[1])):
        text = text.replace(value, f"<{name}>")
    text = text.replace(sys.executable, "<python>").replace(sys.version.split()[0], "<version>")
    text = re.sub(rf"\bPython {sys.version_info[0]}\.{sys.version_info[1]}\b", "Python <version>", text)
    # Below a line of a traceback, some versions of Python mark the part that failed.
    text = re.sub(r"^ +[~^]+\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"/\S*/site-packages/", "<site-packages>/", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "<id>", text)
    # The cluster of the local cloud has the room of the machine that runs the tests.
    text = re.sub(r"the largest is [a-z0-9.-]+: .*", "the largest is <instance>", text)
    text = re.sub(r"cortex-[a-z0-9_]{8}/", "<folder>/", text)
    text = re.sub(r"\bRoot=1-[0-9a-f]{8}-[0-9a-f<>id]+", "<request id>", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>", text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE)
