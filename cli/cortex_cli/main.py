"""The entry point: finds the command, and turns every error into a message and an exit code.

Exit codes: 0 success, 1 the command failed, 2 it was called wrongly, 130 interrupted.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from cortex_cdk.errors import HINT_LINE, CortexError

# Name and one line of help: shown by `cortex --help` without loading any command.
COMMANDS = {
    "deploy": "Deploy the APIs of a configuration.",
    "get": "Show what is deployed.",
    "logs": "Show or follow an API's logs.",
    "predict": "Send a request to an API.",
    "refresh": "Replace an API's replicas, one by one.",
    "delete": "Delete an API or traffic splitter.",
    "cluster": "Make, show and remove clusters.",
    "local": "Start, stop and show the local cloud.",
    "env": "List, choose and define environments.",
    "completion": "Print a completion script for your shell.",
    "version": "Print the version.",
}


class Commands(click.Group):
    """Loads a command when it is called; a unique beginning of its name is enough."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        matches = [name for name in COMMANDS if name == cmd_name] or [n for n in COMMANDS if n.startswith(cmd_name)]
        if len(matches) != 1:
            return None
        command: click.Command = import_module(f"cortex_cli.commands.{matches[0]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve, and report the whole name rather than the abbreviation."""
        try:
            _, command, rest = super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None
        return command.name if command else None, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        import_module("cortex_cli.commands.version").command.callback()
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def cli() -> None:
    """Put machine-learning models into production on AWS, or on this machine."""


class Warnings(logging.Handler):
    """Shows what the library has to tell beside its results."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a warning to stderr, unless it has been told."""
        text = record.getMessage()
        if text not in self._told:
            self._told.add(text)
            warn(text)


def warn(text: str) -> None:
    """Write a warning to stderr."""
    click.secho("warning: ", fg="yellow", nl=False, err=True)
    click.echo(text, err=True)


def main() -> None:
    """Run the command line."""
    _open_closed_streams()
    logging.getLogger("cortex_cdk").addHandler(Warnings())
    try:
        cli.main(standalone_mode=False, prog_name="cortex")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted (an operation that has begun goes on by itself: see cortex get)", err=True)
        # Not sys.exit, which would wait for the threads that watch operations.
        os._exit(130)
    except BrokenPipeError:
        # The reader of our output (such as `head`) has left: that is its right.
        _leave_stdout()
        sys.exit(0)
    except Exception as error:
        if os.environ.get("CORTEX_DEBUG"):
            raise
        try:
            sys.stdout.flush()
        except OSError:
            _leave_stdout()  # it is the full disk: Python would meet the error again at its end
        _fail(in_words(error))


def _open_closed_streams() -> None:
    """Let what nobody wants to read be written all the same: Python has None where the caller closed (``>&-``)."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))


def _leave_stdout() -> None:
    """Let nothing be written there any more, not even what waits in its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: CortexError) -> NoReturn:
    """Show why the command failed; to a script that reads JSON from stdout, there, too."""
    from cortex_cli.options import wants_json

    show(error)
    if wants_json():
        # One line, as each record of `cortex logs` is one.
        click.echo(json.dumps({"error": error.as_json()}, ensure_ascii=False))
    sys.exit(1)


def in_words(error: Exception, environment: str | None = None) -> CortexError:
    """Any error as one that a user can read.

    Args:
        environment: Where it happened; None stands for the environment that the command was called for.
    """
    if isinstance(error, CortexError):
        return error
    explained = None
    if type(error).__module__.startswith(("botocore", "boto3", "s3transfer")):
        from cortex_cdk.environment import explain

        explained = explain(error, environment or used_environment())
    if explained:
        return explained
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CortexError(f"the disk is full: {error}", hint="make room, then run the command again")
    text = str(error).splitlines()
    return CortexError(
        f"unexpected {type(error).__name__}: {text[0] if text else 'no message'}",
        hint="this is a bug of cortex: run the command again with CORTEX_DEBUG=1 and report what it prints",
    )


def used_environment() -> str:
    """Name of the environment that the command was called for."""
    from cortex_cdk.environment import load_environments
    from cortex_cli.options import chosen_environment

    return chosen_environment() or load_environments().default


def show(error: CortexError) -> None:
    """Write an error to stderr: what happened first, then details, then what to do."""
    from cortex_cli.options import for_environment

    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    for line in error.details:
        # Of several findings each has its own hint, on a line of its own.
        click.echo(f"  {for_environment(line) if line.startswith(HINT_LINE) else line}", err=True)
    if error.hint:
        click.secho("hint: ", fg="cyan", nl=False, err=True)
        click.echo(for_environment(error.hint), err=True)


if __name__ == "__main__":
    main()
