"""Form bodies: fields and uploaded files, as ``payload`` (cortex.md 1.2)."""

from __future__ import annotations

import tempfile
from typing import IO, Any
from urllib.parse import parse_qsl

import falcon
from falcon.media import MultipartFormHandler

from cortex_serving.payloads.request_data import MultiMapping

MAX_PARTS = 1000
_SPOOL_BYTES = 1024 * 1024  # larger files wait on disk, not in memory
_COPY_BYTES = 256 * 1024


class FormError(Exception):
    """The body is not the form that its content type promises; answered as plain text."""


class FormData(MultiMapping):
    """Fields of a form: text, or ``UploadFile`` for files."""


class UploadFile:
    """A file of a multipart form; also a type for fields of payloads with a type.

    Attributes:
        file: The content, as an open file at its start.
        filename: Name that the client gave.
        content_type: Content type that the client gave.
    """

    def __init__(self, file: IO[bytes], filename: str, content_type: str) -> None:
        self.file = file
        self.filename = filename
        self.content_type = content_type

    def read(self, size: int = -1) -> bytes:
        """Read from the file."""
        return self.file.read(size)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Validation by pydantic: it must be one."""
        from pydantic_core import core_schema  # only where pydantic asks, and so is there

        return core_schema.custom_error_schema(
            core_schema.is_instance_schema(cls),
            custom_error_type="file",
            custom_error_message="Input should be a file of a multipart form",
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, str]:
        """What OpenAPI says of files."""
        return {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


def parse_urlencoded(body: bytes) -> FormData:
    """Fields of an ``application/x-www-form-urlencoded`` body.

    Raises:
        FormError: It is not valid.
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
    """Fields and files of a multipart body, read as it comes: files are never whole in memory.

    Raises:
        FormError: It is not valid.
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
    """A field's text, of whatever content type: JSON beside a file, say."""
    text = part.get_text()  # only that of text/plain
    return part.get_data().decode("utf-8") if text is None else text


def _file(part: falcon.media.multipart.BodyPart) -> UploadFile:
    file = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - it is the predictor's from here
    while chunk := part.stream.read(_COPY_BYTES):
        file.write(chunk)
    file.seek(0)
    return UploadFile(file, part.filename or "", part.content_type)
