"""Send a request to an API."""

from __future__ import annotations

import re
import sys
from codecs import getincrementaldecoder
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from cortex_cli import options
from cortex_cli.control_characters import on_stdout, visible
from cortex_cli.output import until_left

if TYPE_CHECKING:
    from cortex_cdk.predict import Answer


SECTION = "APIs"


class Pair(click.ParamType[tuple[str, str]]):
    """An option's value that holds a name and a value; becomes the pair of both.

    Args:
        name: Name of the type, in errors.
        pattern: Regular expression for the whole text; its two groups are the name and the value.
        example: A right value.
    """

    def __init__(self, name: str, pattern: str, example: str) -> None:
        self.name = name
        self._pattern = re.compile(pattern, re.DOTALL)
        self._example = example

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the name and the value.

        Raises:
            click.BadParameter: The text is no such pair.
        """
        if isinstance(value, tuple):
            return value
        match = self._pattern.fullmatch(value)
        if not match:
            self.fail(f"{value!r} is not a {self.name} like {self._example}", param, ctx)
        return match[1], match[2]


HEADER = Pair("header", r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*", "'Content-Type: image/png'")
# Neither part is quoted for a URL yet.
QUERY_PARAMETER = Pair("query parameter", r"([^=]+)=(.*)", "top=5")


@click.command("predict")
@options.name()
@click.argument("file", type=click.File("rb"))
@click.option(
    "-H",
    "--header",
    "headers",
    type=HEADER,
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Header of the request, as curl takes it. Can be given several times.",
)
@click.option(
    "-q",
    "--query",
    type=QUERY_PARAMETER,
    multiple=True,
    metavar="NAME=VALUE",
    help="Query parameter; cortex quotes what a URL cannot hold. Can be given several times.",
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

    The content type is guessed from the ending of FILE's name; text from standard input counts as JSON. Name another
    type with: -H 'Content-Type: ...'

    \b
    Example:
      cortex predict iris-classifier sample.json
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
        click.echo(on_stdout(prediction.as_text()))
    except ValueError:
        click.echo(_as_bytes(prediction.body), nl=False)


def _print_as_it_comes(answer: Answer) -> None:
    """Write the bytes as they come. A text whose last line has no end gets one, because a shell's prompt comes next."""
    decoder, end = getincrementaldecoder("utf-8")(), b"\n"
    on_terminal = getincrementaldecoder("utf-8")("backslashreplace") if sys.stdout.isatty() else None
    is_text = True
    try:
        for chunk in answer.chunks():
            end = chunk[-1:]
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                is_text = False
            click.echo(visible(on_terminal.decode(chunk)) if on_terminal else chunk, nl=False)
    finally:
        if is_text and end != b"\n":
            click.echo()


def _as_bytes(body: bytes) -> bytes | str:
    """Return an answer that is no text, as stdout may show it."""
    return visible(body.decode(errors="backslashreplace")) if sys.stdout.isatty() else body
