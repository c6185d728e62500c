"""Errors and warnings for the user, on stderr; for scripts that read JSON, errors on stdout, too."""

from __future__ import annotations

import errno
import json
import logging
import sys
from functools import cache

import click

from cortex_cdk.errors import HINT_LINE, CortexError, WrongCallError
from cortex_cli.control_characters import on_stderr, on_stdout
from cortex_cli.invocation import Invocation, current_invocation
from cortex_cli.suggestions import for_environment


def show(error: CortexError, invocation: Invocation | None = None) -> None:
    """Write an error to stderr: first what happened, then details, then what to do next.

    Args:
        error: The error.
        invocation: The run that failed; None takes the current one.
    """
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(on_stderr(error.message), err=True)
    for line in error.details:
        # Of several findings each has a hint of its own, below its line.
        text = for_environment(line, invocation) if line.startswith(HINT_LINE) else line
        click.echo(f"  {on_stderr(text)}", err=True)
    if error.hint:
        click.secho("hint: ", fg="cyan", nl=False, err=True)
        click.echo(on_stderr(for_environment(error.hint, invocation)), err=True)


def show_last(error: CortexError, invocation: Invocation) -> None:
    """Write the error that ended a command, as ``show``; if a right command line asked for JSON, to stdout, too."""
    show(error, invocation)
    if invocation.wants_json and not isinstance(error, WrongCallError):
        # One line, as each record of `cortex logs` is one.
        click.echo(on_stdout(json.dumps({"error": error.as_json()}, ensure_ascii=False)))


def warn(text: str) -> None:
    """Write a warning to stderr."""
    click.secho("warning: ", fg="yellow", nl=False, err=True)
    click.echo(on_stderr(text), err=True)


@cache
def note_once(text: str) -> None:
    """Write to stderr what is worth knowing and needs no action, unless it was written before."""
    click.secho("note: ", dim=True, nl=False, err=True)
    click.echo(on_stderr(text), err=True)


class Warnings(logging.Handler):
    """Shows the warnings that the library logs, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a warning to stderr, unless it was written before."""
        text = record.getMessage()
        if text not in self._told:
            self._told.add(text)
            warn(text)


def of_usage(error: click.ClickException) -> CortexError:
    """Turn what click says of a wrong command line into an error like every other."""
    named = isinstance(error, click.NoSuchOption | click.NoSuchCommand)
    text = " ".join((error.message if named else error.format_message()).split()).removesuffix(".")
    message = text[:1].lower() + text[1:] if text[1:2].islower() else text
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption | click.NoSuchCommand) and (meant := _meant(error)):
        return CortexError(message, hint=f"did you mean {meant}?")
    if context is None:
        return CortexError(message)
    usage = _usage(context)
    return CortexError(message, hint=f"call it as: {usage}; see {context.command_path} --help")


def _usage(context: click.Context) -> str:
    """How a command is called, on one line: what is broken into lines, breaks at hyphens, too."""
    formatter = click.HelpFormatter(width=sys.maxsize)
    context.command.format_usage(context, formatter)
    return " ".join(formatter.getvalue().split()).removeprefix("Usage: ")


def _meant(error: click.NoSuchOption | click.NoSuchCommand) -> str | None:
    """The option or command that a mistyped one is close to. Hyphens at its beginning make none like another."""
    import difflib

    typed = error.option_name if isinstance(error, click.NoSuchOption) else error.command_name
    known = {name.lstrip("-"): name for name in reversed(error.possibilities or [])}
    close = difflib.get_close_matches(typed.lstrip("-"), known, n=1)
    return known[close[0]] if close else None


def in_words(error: Exception, environment: str | None = None) -> CortexError:
    """Turn any error into one that a user can read.

    Args:
        error: The error.
        environment: Where it happened; None stands for the environment that the command line named, or the default.
    """
    if isinstance(error, CortexError):
        return error
    explained = None
    if type(error).__module__.startswith(("botocore", "boto3", "s3transfer")):
        from cortex_cdk.environment import explain, load_environments

        named = environment or current_invocation().environment
        explained = explain(error, named or load_environments().default)
    if explained:
        return explained
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CortexError(f"the disk is full: {error}", hint="make room, then run the command again")
    text = str(error).splitlines()
    return CortexError(
        f"unexpected {type(error).__name__}: {text[0] if text else 'no message'}",
        hint="this is a bug of cortex: run the command again with CORTEX_DEBUG=1 and report what it prints",
    )
