"""``cortex predict``"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click

from cli import options


class Header(click.ParamType[tuple[str, str]]):
    """A header such as ``Content-Type: image/png``; becomes its name and its value."""

    name = "header"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Parse it.

        Raises:
            click.BadParameter: It is no header.
        """
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*", value)
        if not match:
            self.fail(f"{value!r} is not a header like 'Content-Type: image/png'", param, ctx)
        return match[1], match[2]


@click.command("predict")
@options.name()
@click.argument("file", type=click.File("rb"))
@click.option(
    "-H",
    "--header",
    "headers",
    type=Header(),
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Header of the request, as curl takes it. Can be given several times.",
)
@options.environment
def command(name: str, file: BinaryIO, headers: Sequence[tuple[str, str]], env: str | None) -> None:
    """Send FILE (- for standard input) to an API and print the answer.

    The content type is guessed from the ending of FILE's name; standard input is taken for JSON if it is text. Name
    another one with: -H 'Content-Type: ...'
    """
    from cortex_cdk.client import Client
    from cortex_cdk.predict import content_type_of

    body = file.read()
    suffix = "" if file.name == "<stdin>" else Path(file.name).suffix
    prediction = Client(env).predict(name, body, content_type_of(suffix, body), dict(headers))
    try:
        click.echo(prediction.as_text())
    except ValueError:
        click.echo(prediction.body, nl=False)
