"""``cortex predict``"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from cli import options
from cli.output import until_left

if TYPE_CHECKING:
    from cortex_cdk.predict import Answer


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


class QueryParameter(click.ParamType[tuple[str, str]]):
    """A query parameter such as ``top=5``; becomes its name and its value, which are not yet quoted for a URL."""

    name = "query parameter"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Parse it.

        Raises:
            click.BadParameter: It has no name or no value.
        """
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not a query parameter like top=5", param, ctx)
        return name, text


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
@click.option(
    "-q",
    "--query",
    type=QueryParameter(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Query parameter; what a URL cannot hold is quoted. Can be given several times.",
)
@options.environment
def command(
    name: str,
    file: BinaryIO,
    headers: Sequence[tuple[str, str]],
    query: Sequence[tuple[str, str]],
    env: str | None,
) -> None:
    """Send FILE (- for standard input) to an API and print the answer.

    JSON is indented. Anything else, such as the items of a stream, is printed as it comes.

    The content type is guessed from the ending of FILE's name; standard input is taken for JSON if it is text. Name
    another one with: -H 'Content-Type: ...'
    """
    from cortex_cdk.client import Client
    from cortex_cdk.predict import Call, content_type_of

    body = file.read()
    suffix = "" if file.name == "<stdin>" else Path(file.name).suffix
    call = Call(body, {"Content-Type": content_type_of(suffix, body), **dict(headers)}, query)
    with Client(env).send(name, call) as answer, until_left():
        if answer.is_document:
            _print_document(answer)
        else:
            _print_as_it_comes(answer)


def _print_document(answer: Answer) -> None:
    prediction = answer.whole()
    try:
        click.echo(prediction.as_text())
    except ValueError:
        click.echo(prediction.body, nl=False)


def _print_as_it_comes(answer: Answer) -> None:
    """Write the bytes as they are; a text whose last line has no end gets one, as a shell's prompt comes next."""
    decoder, end = getincrementaldecoder("utf-8")(), b"\n"
    is_text = True
    try:
        for chunk in answer.chunks():
            end = chunk[-1:]
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                is_text = False
            click.echo(chunk, nl=False)
    finally:
        if is_text and end != b"\n":
            click.echo()
