"""The help of every command: an example that the command takes, and nothing that is slow to import."""

import inspect
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.unit.cli.command_tree import commands

COMMANDS = commands()
HEADING = "\n\n\b\nExample:\n"
# What follows "  " fits a terminal of 80 columns, in which the help indents it by four.
WIDEST = 76
SLOW = {
    "aws_cdk",
    "boto3",
    "botocore",
    "httpx",
    "hypothesis",
    "jsii",
    "moto",
    "numpy",
    "pandas",
    "pydantic",
    "rich",
    "urllib3",
}


def examples(command: click.Command) -> list[str]:
    """The lines of a command's example."""
    _, _, block = inspect.cleandoc(command.help or "").partition(HEADING)
    return [line.removeprefix("  ") for line in block.splitlines()]


def typed(example: str) -> list[str]:
    """The words of ``cortex`` in a line of a shell, which may also pipe, redirect and substitute."""
    substituted = re.search(r"\$\((.*)\)", example)
    shell = shlex.shlex(substituted[1] if substituted else example, posix=True, punctuation_chars="|<>&;")
    shell.whitespace_split = True
    words = list(itertools.takewhile(lambda word: word[0] not in "|<>&;", shell))
    assert words[0] == "cortex", f"{example!r} does not call cortex"
    return words


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_ends_with_an_example_that_the_command_takes(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.File, "convert", lambda _self, value, *_: value)  # an example's file need not be here
    lines = examples(COMMANDS[path])
    assert lines, f"{path} --help has no example: see cortex_cli/commands/__init__.py"
    assert [line for line in lines if len(line) > WIDEST] == []
    for line in lines:
        words = typed(line)
        assert f"{' '.join(words)} ".startswith(f"{path} "), "the example is of another command"
        called = max((one for one in COMMANDS if words[: one.count(" ") + 1] == one.split()), key=len)
        assert not isinstance(COMMANDS[called], click.Group), "the example is of a group, which does nothing"
        COMMANDS[called].make_context(called, words[called.count(" ") + 1 :])


def test_help_loads_nothing_slow() -> None:
    """The time of ``--help`` is that of Python and of imports; the latter can be counted on a busy machine, too."""
    program = """
import sys, click
from tests.unit.cli.command_tree import commands
for path, command in commands().items():
    click.Context(command, info_name=path).get_help()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert SLOW & set(done.stdout.split()) == set()
