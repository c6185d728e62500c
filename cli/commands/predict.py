"""``cortex predict``"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from cli import options


@click.command("predict")
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@options.environment
def command(name: str, file: BinaryIO, env: str | None) -> None:
    """Send FILE (- for standard input) to an API and print the answer."""
    from cortex_cdk.client import Client
    from cortex_cdk.predict import content_type_of

    body = file.read()
    suffix = "" if file.name == "<stdin>" else Path(file.name).suffix
    prediction = Client(env).predict(name, body, content_type_of(suffix, body))
    try:
        click.echo(prediction.as_text())
    except ValueError:
        click.echo(prediction.body, nl=False)
