"""Reads form bodies: fields and uploaded files (cortex.md 1.2)."""

from __future__ import annotations

import tempfile
from typing import IO, Any
from urllib.parse import parse_qsl

import falcon
from falcon.media import MultipartFormHandler

from cortex_serving.payloads.request_data import MultiMapping

MAX_PARTS = 1000
_SPOOL_BYTES = 1024 * 1024  # larger files are kept on disk
_COPY_BYTES = 256 * 1024


class FormError(Exception):
    """The body is not the form that its content type promises. The client gets a 400 with the reason as plain text."""


class FormData(MultiMapping):
    """The fields of a form: text, or ``UploadFile`` for files."""


class UploadFile:
    """A file of a multipart form. Payload models may use this class as a field's type.

    Attributes:
        file: An open file with the content, at its start.
        filename: The file's name, from the client.
        content_type: The file's content type, from the client.
    """

    def __init__(self, file: IO[bytes], filename: str, content_type: str) -> None:
        self.file = file
        self.filename = filename
        self.content_type = content_type

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes; all that is left if ``size`` is negative."""
        return self.file.read(size)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Tell pydantic to accept instances of this class only."""
        from pydantic_core import core_schema  # only where pydantic asks, and so is there

        return core_schema.custom_error_schema(
            core_schema.is_instance_schema(cls),
            custom_error_type="file",
            custom_error_message="Input should be a file of a multipart form",
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, str]:
        """Describe a file for OpenAPI."""
        return {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


def parse_urlencoded(body: bytes) -> FormData:
    """Read an ``application/x-www-form-urlencoded`` body.

    Args:
        body: The body.

    Raises:
        FormError: The body is not such a form.
    """
    try:
        return FormData(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_PARTS))
    except ValueError as error:
        raise FormError(f"the body is not a valid form: {error}") from error


def _handler() -> MultipartFormHandler:
    handler = MultipartFormHandler()
    handler.parse_options.max_body_part_count = MAX_PARTS
    handler.parse_options.max_body_part_buffer_size = 64 * 1024 * 1024
    return handler


_MULTIPART = _handler()


def parse_multipart(request: falcon.Request) -> FormData:
    """Read a multipart body piece by piece: large files are never whole in memory.

    Args:
        request: The request, its body not yet read.

    Raises:
        FormError: The body is not such a form.
    """
    pairs: list[tuple[str, str | UploadFile]] = []
    try:
        form = _MULTIPART.deserialize(request.bounded_stream, request.content_type, request.content_length)
        for part in form:
            pairs.append((part.name or "", _text(part) if part.filename is None else _file(part)))
    except (falcon.HTTPError, ValueError) as error:
        reason = getattr(error, "description", None) or str(error)
        raise FormError(f"the body is not a valid multipart form: {reason}") from error
    return FormData(pairs)


def _text(part: falcon.media.multipart.BodyPart) -> str:
    """Return a field's text, whatever the part's content type: clients send JSON beside a file, for example."""
    text = part.get_text()  # None for any content type but text/plain
    return part.get_data().decode("utf-8") if text is None else text


def _file(part: falcon.media.multipart.BodyPart) -> UploadFile:
    file = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - the predictor owns the file from here
    while chunk := part.stream.read(_COPY_BYTES):
        file.write(chunk)
    file.seek(0)
    return UploadFile(file, part.filename or "", part.content_type)
