"""Reads form bodies: fields and uploaded files (cortex.md 1.2)."""

from __future__ import annotations

import base64
import quopri
import tempfile
from typing import IO, Any

import falcon
from falcon.media import MultipartFormHandler
from falcon.util import BufferedReader

from cortex_serving.payloads.charsets import decode, has_many_parameters
from cortex_serving.payloads.percent_encoding import unquote
from cortex_serving.payloads.request_data import MultiMapping
from cortex_serving.payloads.value_memory import ValueMemory

MAX_PARTS = 1000
_SPOOL_BYTES = 1024 * 1024  # larger files are kept on disk
_COPY_BYTES = 256 * 1024
_BLANKS = b" \t\r\n\v\f"
_END_OF_HEADERS = b"\r\n\r\n"
_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})  # transfer encodings that leave the content as it is


class FormError(Exception):
    """The body is not the form that its content type promises. The client gets a 400 with the reason."""


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


def parse_urlencoded(body: bytes, memory: ValueMemory) -> FormData:
    """Read an ``application/x-www-form-urlencoded`` body, as ``urllib.parse.parse_qsl`` does.

    Args:
        body: The body.
        memory: For the fields.

    Raises:
        FormError: The body is not such a form.
        falcon.HTTPContentTooLarge: The fields would take too much memory.
    """
    if body.count(b"&") >= MAX_PARTS:
        raise FormError(f"the body is not a valid form: it has more than {MAX_PARTS} fields")
    memory.take_text(body)
    pairs: list[tuple[str, str | UploadFile]] = []
    try:
        if not body.isascii():
            body.decode()
        for field in filter(None, body.split(b"&")):
            name, _, value = field.partition(b"=")
            pairs.append((unquote(name.replace(b"+", b" ")).decode(), unquote(value.replace(b"+", b" ")).decode()))
    except UnicodeDecodeError as error:
        raise FormError("the body is not a valid form: it is not UTF-8 text") from error
    return FormData(pairs)


def _handler() -> MultipartFormHandler:
    handler = MultipartFormHandler()
    handler.parse_options.max_body_part_count = MAX_PARTS
    handler.parse_options.max_body_part_buffer_size = 64 * 1024 * 1024
    return handler


_MULTIPART = _handler()


class _Reader(BufferedReader):  # type: ignore[misc, valid-type]  # Falcon chooses between two classes
    """Reads a multipart body for Falcon, which refuses parts with a ``Content-Transfer-Encoding``.

    RFC 7578 (4.7) deprecates that header, but Apache's HttpClient and mail libraries send it.

    Attributes:
        encoding: The encoding of the current part, in lower case; empty for a part as it is.
    """

    encoding = ""

    def read_until(self, delimiter: bytes, size: int = -1, consume_delimiter: bool = False) -> bytes:
        """Read; take the encoding out of a part's headers, and write these as Falcon expects them (``name: value``)."""
        found: bytes = super().read_until(delimiter, size, consume_delimiter)
        if delimiter != _END_OF_HEADERS:
            return found
        if has_many_parameters(found):
            raise ValueError("the headers of a part have too many parameters")
        headers = dict(_header(line) for line in found.split(b"\r\n"))
        self.encoding = headers.pop(b"content-transfer-encoding", b"").decode("latin-1").lower()
        return b"\r\n".join(b"%s: %s" % pair for pair in headers.items())


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()


def parse_multipart(request: falcon.Request, memory: ValueMemory) -> FormData:
    """Read a multipart body piece by piece: large files are never whole in memory.

    Args:
        request: The request, its body not yet read.
        memory: For the fields that are text.

    Raises:
        FormError: The body is not such a form.
        falcon.HTTPContentTooLarge: The fields would take too much memory.
    """
    if has_many_parameters((request.content_type or "").encode()):
        raise FormError("the body is not a valid multipart form: its content type has too many parameters")
    pairs: list[tuple[str, str | UploadFile]] = []
    try:
        reader = _Reader(request.bounded_stream.read, request.content_length or 0)
        form = _MULTIPART.deserialize(reader, request.content_type, request.content_length)
        for part in form:
            name, encoding = part.name or "", reader.encoding
            text = part.filename is None
            pairs.append((name, _text(part, encoding, memory) if text else _file(part, encoding)))
    except falcon.HTTPContentTooLarge:
        raise
    except (falcon.HTTPError, ValueError, LookupError) as error:
        reason = getattr(error, "description", None) or str(error)
        raise FormError(f"the body is not a valid multipart form: {reason}") from error
    return FormData(pairs)


def _text(part: falcon.media.multipart.BodyPart, encoding: str, memory: ValueMemory) -> str:
    """Return a field's text, whatever the part's content type: clients send JSON beside a file, for example."""
    content = _decoded(part, encoding)
    memory.take_text(content)
    return decode(content, part.content_type)


def _file(part: falcon.media.multipart.BodyPart, encoding: str) -> UploadFile:
    file = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - the predictor owns the file from here
    if encoding in _AS_IT_IS:
        while chunk := part.stream.read(_COPY_BYTES):
            file.write(chunk)
    else:
        file.write(_decoded(part, encoding))
    file.seek(0)
    return UploadFile(file, part.filename or "", part.content_type)


def _decoded(part: falcon.media.multipart.BodyPart, encoding: str) -> bytes:
    """Return a part's content; decode a ``Content-Transfer-Encoding`` (RFC 2045, 6).

    Raises:
        ValueError: The encoding is unknown, or the content does not have it.
    """
    content: bytes = part.get_data()
    if encoding in _AS_IT_IS:
        return content
    if encoding == "base64":
        return base64.b64decode(content.translate(None, _BLANKS), validate=True)
    if encoding == "quoted-printable":
        return quopri.decodestring(content)
    raise ValueError(f"Content-Transfer-Encoding {encoding} is not supported: send the part as it is")
