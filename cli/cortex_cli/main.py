"""The entry point: finds the command, and turns every error into a message and an exit code.

Exit codes: 0 success, 1 the command failed, 2 it was called wrongly (or a plan has changes), 130 interrupted.
"""

from __future__ import annotations

import codecs
import gc
import io
import itertools
import logging
import os
import sys

import click
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import CompletionItem

from cortex_cli.command_list import command_names, listed_commands, load_command
from cortex_cli.invocation import Invocation
from cortex_cli.messages import Warnings, in_words, of_usage, show, show_last
from cortex_cli.terminal import is_plain

_ESCAPED = "cortex-json-escapes"


NEVER_SHORTENED = frozenset({"delete", "rollback"})
"""Commands that a few letters must not run by mistake: they take away or replace what serves."""


class Commands(click.Group):
    """Imports the module of a command when the command is called; a unique beginning of most names is enough."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(command_names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or the only one whose name begins so; else None."""
        beginning_so = [name for name in command_names() if name.startswith(cmd_name)]
        is_short = len(beginning_so) == 1 and beginning_so[0] not in NEVER_SHORTENED
        return load_command(beginning_so[0] if is_short else cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve, and report the whole name rather than the abbreviation."""
        try:
            _, command, rest = super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            beginning_so = [name for name in command_names() if name.startswith(error.command_name)]
            known = beginning_so or command_names()
            raise click.NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from None
        return command.name if command else None, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing them."""
        for section, commands in itertools.groupby(listed_commands(), key=lambda command: command.section):
            with formatter.section(section):
                formatter.write_dl([(command.name, command.summary) for command in commands])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands, without importing them, and this group's own options."""
        offered = [command for command in listed_commands() if command.name.startswith(incomplete)]
        items = [CompletionItem(command.name, help=command.summary) for command in offered]
        return items + click.Command.shell_complete(self, ctx, incomplete)


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    command = load_command("version") if wanted else None
    if command:
        context.invoke(command)
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def cli() -> None:
    """Put machine-learning models into production on AWS, or on this machine.

    \b
    Example:
      cortex deploy examples/iris-classifier
    """


def main() -> None:
    """Run the command line."""
    # What loading a command makes, stays: Python's usual looks for garbage among it take a sixth of a short command.
    gc.set_threshold(50_000, 20, 50)
    _set_up_streams()
    logging.getLogger("cortex_cdk").addHandler(Warnings())
    invocation = Invocation()
    # Of click's contexts, and of what is written without one.
    color = False if is_plain() else None
    with click.Context(cli, color=color):
        _run(invocation, color)


def _run(invocation: Invocation, color: bool | None) -> None:
    try:
        cli.main(standalone_mode=False, prog_name="cortex", obj=invocation, color=color)
    except NoArgsIsHelpError as help_of_group:
        help_of_group.show()
        sys.exit(help_of_group.exit_code)
    except click.ClickException as error:
        show(of_usage(error), invocation)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted (an operation that has begun goes on by itself: see cortex get)", err=True)
        # sys.exit would wait for the threads that watch operations.
        os._exit(130)
    except BrokenPipeError:
        # The reader of our output (such as `head`) has left, as it may.
        _leave_stdout()
        sys.exit(0)
    except Exception as error:
        if os.environ.get("CORTEX_DEBUG"):
            raise
        try:
            sys.stdout.flush()
        except OSError:
            _leave_stdout()  # stdout is the full disk: Python would meet the error again at its end
        shown = in_words(error, invocation.environment)
        show_last(shown, invocation)
        sys.exit(shown.exit_code)


def _set_up_streams() -> None:
    """Open the streams that the caller closed (``>&-``), for which Python has None, and have the others write any text.

    An encoding such as latin-1 (``PYTHONIOENCODING``, the locale) lacks characters that a predictor may have logged.
    They are written as JSON escapes, so that JSON stays JSON.
    """
    codecs.register_error(_ESCAPED, _escaped)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end


def _leave_stdout() -> None:
    """Discard everything that is written to stdout from now on, with the rest of its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
