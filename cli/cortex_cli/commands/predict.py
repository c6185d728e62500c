"""Send a request to an API."""

from __future__ import annotations

import re
import sys
from codecs import getincrementaldecoder
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import click

from cortex_cli import options
from cortex_cli.control_characters import on_stderr, on_stdout, visible
from cortex_cli.output import print_json, until_left
from cortex_cli.receipt import answer_as_text
from cortex_cli.request_body import FormPart, Part, from_data, from_file, from_form
from cortex_cli.suggestions import for_environment

if TYPE_CHECKING:
    from cortex_cdk.client import Client
    from cortex_cdk.predict.answers import Answer
    from cortex_cdk.predict.timing import Timing


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
@click.argument("file", type=click.File("rb"), required=False)
@click.option(
    "-d",
    "--data",
    metavar="TEXT|@FILE",
    help="Send a text: JSON, or a form such as a=1&b=2; @FILE sends a file, @- standard input.",
)
@click.option(
    "-F",
    "--form",
    type=FormPart(),
    multiple=True,
    metavar="NAME=VALUE|NAME=@FILE",
    help="Send a form with this field, as curl does: also NAME=@FILE;type=image/png. Can be given several times.",
)
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
@click.option("--schema", is_flag=True, help="Send nothing; show what the API takes, with an example.")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what took how long, and who answered.")
@options.environment
@options.output
def command(
    name: str,
    file: BinaryIO | None,
    data: str | None,
    form: Sequence[Part],
    headers: Sequence[tuple[str, str]],
    query: Sequence[tuple[str, str]],
    schema: bool,
    verbose: bool,
    env: str | None,
    output: str,
) -> None:
    """Send FILE (- for standard input), a text or a form to an API and print the answer.

    JSON is indented. Anything else, such as the items of a stream, is printed as it comes.

    The content type is that of the ending of FILE's name; text from standard input counts as JSON. Name another type
    with: -H 'Content-Type: ...'. With -o json, stdout is one object with the answer, who gave it, and what took how
    long; with --schema, the JSON Schema of what the API takes.

    \b
    Example:
      cortex predict iris-classifier sample.json
      cortex predict iris-classifier --data '{"sepal_length": 5.2}' -v
      cortex predict digits seven.png
      cortex predict digits -F image=@seven.png -F top=3
    """
    from cortex_cdk.client import Client
    from cortex_cdk.predict.call import Call
    from cortex_cdk.predict.timing import Timing

    chosen = _chosen(name, file, data, form, schema=schema)
    client = Client(env)
    if chosen is None:
        _print_schema(client, name, output)
        return
    body, content_type = chosen
    named = {header.lower() for header, _ in headers}
    given = {} if "content-type" in named or not content_type else {"Content-Type": content_type}
    timing = Timing() if verbose or output == "json" else None
    try:
        with client.send(name, Call(body, {**given, **dict(headers)}, query), timing) as answer, until_left():
            if output == "json":
                prediction = answer.whole()
            elif answer.is_document:
                _print_document(answer)
            else:
                _print_as_it_comes(answer)
    finally:
        if timing and verbose and timing.total:
            _print_receipt(timing)
    if output == "json" and timing:
        click.echo(on_stdout(answer_as_text(prediction, timing)))


def _chosen(
    name: str, file: BinaryIO | None, data: str | None, form: Sequence[Part], *, schema: bool
) -> tuple[bytes, str] | None:
    """Read what is to be sent: body and content type; None where only the schema is asked for.

    Raises:
        click.UsageError: There is nothing to send, or too much.
    """
    given = [what for what, there in (("FILE", file), ("--data", data is not None), ("--form", form)) if there]
    if schema and given:
        raise click.UsageError(f"--schema sends nothing: leave {given[0]} out")
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} are two bodies: give one of them")
    if schema:
        return None
    if file:
        return from_file(file)
    if data is not None:
        return from_data(data)
    if form:
        return from_form(form)
    raise click.UsageError(
        f"give a FILE (- for standard input), --data or --form; see what {name} takes with: "
        + for_environment(f"cortex predict {name} --schema")
    )


def _print_schema(client: Client, name: str, output: str) -> None:
    from cortex_cdk.predict.description import command_lines

    description = client.describe(name)
    if output == "json":
        print_json(description.as_json())
        return
    head = [f"{name} takes {' or '.join(description.content_types)}", ""] if description.is_known else []
    lines = [*head, *description.table()]
    examples = [f"  {for_environment(line)}" for line in command_lines(description)]
    click.echo(on_stdout("\n".join([*lines, *(["", "Example:", *examples] if examples else [])])))


def _print_receipt(timing: Timing) -> None:
    from cortex_cli.receipt import receipt

    click.echo(on_stderr(receipt(timing)), err=True)


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
