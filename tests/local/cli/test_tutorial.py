"""The local half of the tutorial, followed literally: every command prints what the page says.

Commands are the lines after ``$ `` in ``console`` blocks, the lines below are their output, in which ``...`` stands for
anything.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CORTEX, ROOT, Cortex

TUTORIAL = ROOT / "docs/tutorial.md"


@dataclass(frozen=True)
class Step:
    """A command and what the page says that it prints."""

    command: str
    expected: str


def steps(text: str) -> list[Step]:
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    found = [Step(*part.partition("\n")[::2]) for block in blocks for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    assert len(found) == text.count("\n$ ")
    return found


def matches(printed: str, expected: str) -> bool:
    pattern = ""
    for line in expected.splitlines():
        some = re.escape(line).replace(r"\.\.\.", "[^\n]*")
        pattern += r"(?:[^\n]*\n)*" if line == "..." else f"{some}\n"
    text = printed.strip("\n")
    return re.fullmatch(pattern, f"{text}\n" if text else "") is not None


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def test_every_command_prints_what_the_page_says(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    cortex = Cortex(tmp_path_factory.mktemp("home"))
    control, http = (str(port) for port in free_ports())
    environ = {
        **cortex.environ,
        "PATH": f"{CORTEX.parent}{os.pathsep}{os.environ['PATH']}",
        "CORTEX_LOCAL_PORT": control,
        "CORTEX_LOCAL_HTTP_PORT": http,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    del environ["AWS_PROFILE"]
    folder = tmp_path
    try:
        for step in steps(TUTORIAL.read_text()):
            command = step.command.replace(":4566", f":{control}").replace(":8888", f":{http}")
            # The last line is the folder that the next command starts in.
            shell = subprocess.run(
                ["bash", "-c", f'{command} 2>&1; printf "\n%s" "$PWD"'],
                cwd=folder, env=environ, capture_output=True, text=True, timeout=200, check=False,
            )  # fmt: skip
            printed, _, where = shell.stdout.rpartition("\n")
            folder = Path(where)
            printed = printed.replace(f":{http}", ":8888")
            assert matches(printed, step.expected), f"$ {step.command}\n{printed}"
    finally:
        cortex.ok("local", "down")


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a\n", False),
        ("a\nb\nc", "a\n...\nc\n", True),
        ("a\nc", "a\n...\nc\n", True),
        ("a\nbx", "a\n...\nc\n", False),
        ("at 12 s", "at ... s\n", True),
        ("a\nb", "a...\n", False),
        ("", "", True),
    ],
)
def test_dots_stand_for_anything(printed: str, expected: str, same: bool) -> None:
    assert matches(printed, expected) is same
