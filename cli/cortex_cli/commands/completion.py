"""Print a completion script for your shell."""

from __future__ import annotations

import click

SECTION = "Other commands"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a completion script, for the start-up file of your shell.

    \b
    Example:
      eval "$(cortex completion bash)"
    """
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(completion(click.get_current_context().find_root().command, {}, "cortex", "_CORTEX_COMPLETE").source())
