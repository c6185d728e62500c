"""Finds the commands: each module in ``commands`` is one, named as its file.

``cortex --help`` must stay quick, so that the list is read without importing any command: the summary is the first line
of the module's docstring, the group in the help its constant ``SECTION``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import click

FOLDER = Path(__file__).parent / "commands"

# As the help shows them: from what is done first to what is done seldom.
SECTIONS = ("Projects", "APIs", "Clusters", "Other commands")


@dataclass(frozen=True)
class Listed:
    """A command, as the help lists it.

    Attributes:
        section: Heading of its group, one of ``SECTIONS``.
        name: Its name.
        summary: One line.
    """

    section: str
    name: str
    summary: str


@cache
def command_names() -> tuple[str, ...]:
    """Return the names of all commands, in alphabetical order."""
    return tuple(sorted(path.stem.replace("_", "-") for path in FOLDER.glob("[!_]*.py")))


def listed_commands() -> list[Listed]:
    """Return all commands as the help lists them: by section, in the order of ``SECTIONS``, then by name."""
    found = [_listed(name) for name in command_names()]
    return sorted(found, key=lambda command: (SECTIONS.index(command.section), command.name))


def load_command(name: str) -> click.Command | None:
    """Import the module of a command.

    Args:
        name: The command's whole name.

    Returns:
        The command, or None where there is none of that name.
    """
    if name not in command_names():
        return None
    command: click.Command = import_module(f"cortex_cli.commands.{name.replace('-', '_')}").command
    return command


def _listed(name: str) -> Listed:
    module = ast.parse((FOLDER / f"{name.replace('-', '_')}.py").read_bytes())
    docstring = ast.get_docstring(module) or ""
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return Listed(ast.literal_eval(constants["SECTION"]), name, docstring.partition("\n")[0])
