"""Every command, group and subcommand of ``cortex``, as click has them."""

from collections.abc import Iterator

import click
from cortex_cli.main import cli


def commands() -> dict[str, click.Command]:
    """All commands by their words, such as ``cortex cluster up``; the first is ``cortex`` itself."""
    return dict(_within("cortex", cli))


def _within(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found, f"{path} {name}"
            yield from _within(f"{path} {name}", found)
