"""The options of a command line that its errors and suggestions depend on, too."""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass
class Invocation:
    """One run of ``cortex``: the object of click's contexts, filled in while options are parsed.

    Attributes:
        environment: The environment that the command line named, if it did.
        wants_json: Whether it asked for JSON on stdout.
    """

    environment: str | None = None
    wants_json: bool = False


def current_invocation() -> Invocation:
    """Return the run that this code is part of; outside a command, one without options."""
    context = click.get_current_context(silent=True)
    return (context and context.find_object(Invocation)) or Invocation()
