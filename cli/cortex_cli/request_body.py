"""The body of ``cortex predict``, from a file, a text, or the fields of a form: spelled as for curl."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, cast

import click

if TYPE_CHECKING:
    from cortex_cdk.predict.forms import FormField

STDIN = "-"
_PARAMETERS = re.compile(r";\s*(type|filename)=((?:[^;]|;(?!\s*(?:type|filename)=))*)")
_FIELD_OF_FORM = re.compile(r"[^\s={\[\"]+=")


@dataclass(frozen=True)
class Part:
    """One ``--form``.

    Attributes:
        name: The field.
        value: Its text, or the path of the file that has its value.
        from_file: Whether the value is read from a file.
        as_upload: Whether that file is sent as a file, with its name.
        content_type: Of the value, if it was given.
        filename: Of the file, if it was given.
    """

    name: str
    value: str
    from_file: bool = False
    as_upload: bool = False
    content_type: str | None = None
    filename: str | None = None


class FormPart(click.ParamType[Part]):
    """``NAME=VALUE``, ``NAME=@FILE`` or ``NAME=<FILE``, with ``;type=`` and ``;filename=``."""

    name = "form field"

    def convert(self, value: str | Part, param: click.Parameter | None, ctx: click.Context | None) -> Part:
        """Read the parts of the text.

        Raises:
            click.BadParameter: The text has no name.
        """
        if isinstance(value, Part):
            return value
        name, equals, content = value.partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not a form field like top=5 or image=@photo.png", param, ctx)
        from_file = content[:1] in ("@", "<")
        parameters: dict[str, str] = {}
        if from_file or ";type=" in content:
            parameters = {key: text.strip(' "') for key, text in _PARAMETERS.findall(content)}
            content = _PARAMETERS.sub("", content)
        return Part(
            name,
            content[1:] if from_file else content,
            from_file,
            content[:1] == "@" and from_file,
            parameters.get("type"),
            parameters.get("filename"),
        )


def from_file(file: BinaryIO) -> tuple[bytes, str]:
    """Read a file that is sent as it is.

    Returns:
        The body and its content type.
    """
    from cortex_cdk.predict.content_types import content_type_of

    body = file.read()
    return body, content_type_of("" if file.name == "<stdin>" else PurePath(file.name).suffix, body)


def from_data(data: str) -> tuple[bytes, str]:
    """Read ``--data``: a text, or a file after ``@``.

    Returns:
        The body and its content type: of a text JSON, or that of a form (``a=1&b=2``), if it looks like one.
    """
    from cortex_cdk.predict.content_types import JSON, URLENCODED

    if data.startswith("@"):
        with _opened(data[1:], "--data") as file:
            return from_file(file)
    body = data.encode()
    with suppress(ValueError):
        json.loads(data)
        return body, JSON
    return body, URLENCODED if _FIELD_OF_FORM.match(data) else JSON


def from_form(parts: Sequence[Part]) -> tuple[bytes, str]:
    """Write a form.

    Returns:
        The body, and its content type with the boundary.
    """
    from cortex_cdk.predict.forms import multipart

    return multipart([_field(part) for part in parts])


def _field(part: Part) -> FormField:
    from cortex_cdk.predict.content_types import type_of_file
    from cortex_cdk.predict.forms import FormField

    if not part.from_file:
        return FormField(part.name, part.value.encode(), part.filename, part.content_type)
    with _opened(part.value, "--form") as file:
        content = file.read()
    if not part.as_upload:
        return FormField(part.name, content, part.filename, part.content_type)
    filename = part.filename or (part.name if part.value == STDIN else PurePath(part.value).name)
    return FormField(part.name, content, filename, part.content_type or type_of_file(PurePath(filename).suffix))


def _opened(path: str, option: str) -> BinaryIO:
    """Open a file, ``-`` for standard input.

    Raises:
        click.BadParameter: The file cannot be read.
    """
    try:
        return cast(BinaryIO, click.open_file(path, "rb"))
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint=f"'{option}'") from error
