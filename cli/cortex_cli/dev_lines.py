"""What ``cortex dev`` writes where there is no terminal: one line for each thing that happens."""

from __future__ import annotations

import json

import click

from cortex_cdk.dev.happenings import Answered, Deploying, Failed, Happening, Live, Logged, Step
from cortex_cli.control_characters import on_stdout
from cortex_cli.dev_screen import log_lines
from cortex_cli.messages import show


def write_json(happening: Happening) -> None:
    """Write what has happened as one line of JSON."""
    click.echo(on_stdout(json.dumps(happening.as_json(), ensure_ascii=False)))


def write_lines(happening: Happening) -> None:
    """Write what has happened in words; errors to stderr."""
    if isinstance(happening, Deploying):
        _write(f"changed: {', '.join(happening.files)}" if happening.files else "deploying")
    elif isinstance(happening, Step):
        _write(f"{happening.subject}: {happening.text}")
    elif isinstance(happening, Live):
        took = "" if happening.seconds is None else f", {happening.seconds:.1f} s after the save"
        _write(f"{happening.api}: live at {happening.endpoint} (revision {happening.revision}{took})")
    elif isinstance(happening, Answered):
        if happening.error:
            show(happening.error)
        else:
            _write(f"{happening.api} answers the sample: {happening.text}")
    elif isinstance(happening, Failed):
        show(happening.error)
    elif isinstance(happening, Logged):
        for line, _style in log_lines(happening.record):
            _write(f"{happening.api}: {line}")


def _write(text: str) -> None:
    click.echo(on_stdout(text))
