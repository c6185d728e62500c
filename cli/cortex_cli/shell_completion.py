"""Completes names of environments, APIs and traffic splitters in the shell.

A press of TAB must not print, ask or start anything, nor take long: after any failure there is nothing to offer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from types import FrameType

import click

PATIENCE_SECONDS = 2.0
Names = Callable[[click.Context, click.Parameter, str], list[str]]


def offered(names: Callable[[click.Context], list[str]]) -> Names:
    """Complete a word with names that may take a moment to find.

    Args:
        names: Returns all names, given what the command line says so far.
    """

    @wraps(names)
    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        with suppress(Exception), _undisturbed():
            return [name for name in names(context) if name.startswith(incomplete)]
        return []

    return complete


@offered
def environments(_context: click.Context) -> list[str]:
    """Offer the user's environments."""
    from cortex_cdk.environment import load_environments

    return [environment.name for environment in load_environments().all]


@offered
def deployed(context: click.Context) -> list[str]:
    """Offer the APIs and traffic splitters of the environment that the command line names, or of the default one."""
    from cortex_cdk.status.deployed_names import deployed_names

    return deployed_names(context.params.get("env"))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Limit the time, and detach from the terminal, where a profile with MFA would ask for its code."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    with suppress(OSError):
        os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 2)
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
