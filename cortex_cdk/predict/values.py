"""Turns Python values and files into requests.

| Value | Sent as |
|---|---|
| a ``Path``, or an open file | the file's bytes, with the content type of its name's ending |
| ``bytes`` | JSON if they are a JSON object or list, else ``application/octet-stream`` |
| anything else | JSON, written as replicas write results: also arrays of numpy, tables of pandas, dataclasses |
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from cortex_cdk.errors import PayloadError
from cortex_cdk.predict.call import TIMEOUT_SECONDS, Call
from cortex_cdk.predict.content_types import BYTES, JSON, URLENCODED, media_type, type_of_file
from cortex_cdk.predict.forms import FormField, multipart, urlencoded

NOTHING: Any = object()
"""Stands for a payload that was not given; None is JSON's null."""
Query = Mapping[str, Any] | Sequence[tuple[str, Any]]


def call_of(
    payload: Any = NOTHING,
    *,
    files: Mapping[str, Any] | None = None,
    form: Mapping[str, Any] | None = None,
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
    query: Query = (),
    key: str | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Call:
    """Make the request for a value.

    Args:
        payload: The value; see the table above.
        files: Files of a form, by field: paths, bytes, open files, ``(filename, content)`` or
            ``(filename, content, content type)``, or lists of them.
        form: Further fields of a form; without files, it is sent as web pages send one.
        content_type: Of the payload, in place of the one that is chosen.
        headers: Further headers.
        query: Parameters of the URL; a list stands for several of one name.
        key: An API key; None takes ``CORTEX_API_KEY``.
        timeout: Seconds that the API may send nothing.

    Raises:
        PayloadError: The value cannot be sent. Nothing was sent.
    """
    if files or form:
        if payload is not NOTHING or content_type:
            raise PayloadError("a request has a payload, or a form with files: not both")
        body, chosen = _form(files or {}, form or {})
    elif payload is NOTHING:
        body, chosen = b"", content_type or ""
    else:
        body, chosen = _body(payload, content_type)
    given = {"Content-Type": chosen} if chosen else {}
    if any(name.lower() == "content-type" for name in headers or {}):
        given = {}
    return Call(body, {**given, **(headers or {})}, _pairs(query), key, timeout=timeout)


def to_json(value: Any) -> bytes:
    """Write a value as JSON, as replicas write results.

    Raises:
        PayloadError: Something in the value has no form in JSON.
    """
    from cortex_serving.errors import UnsupportedResult
    from cortex_serving.results.render import dump_json

    try:
        return dump_json(value)
    except UnsupportedResult as error:
        raise PayloadError(
            f"{type(value).__name__} cannot be written as JSON: {error.reason or error}",
            hint="give bytes, a path or an open file to send them as they are",
        ) from error


def is_upload(value: Any) -> bool:
    """Whether a value is a file: a path, bytes, an open file, the tuple of a named one, or a list of them."""
    if isinstance(value, list | tuple):
        return any(map(is_upload, value))
    return isinstance(value, bytes | bytearray | memoryview | os.PathLike) or hasattr(value, "read")


def file_content(value: Any) -> tuple[bytes, str]:
    """Read a file, given as its path, its bytes, or open.

    Returns:
        The content, and the file's name; an empty one for bytes.

    Raises:
        PayloadError: It cannot be read, or is none of them.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), ""
    if hasattr(value, "read"):
        content = value.read()
        name = getattr(value, "name", "")
        return content.encode() if isinstance(content, str) else bytes(content), PurePath(str(name)).name
    if isinstance(value, str | os.PathLike):
        path = Path(value)
        try:
            return path.read_bytes(), path.name
        except OSError as error:
            raise PayloadError(f"{path} cannot be read: {error.strerror}") from error
    raise PayloadError(f"{type(value).__name__} is no file: give a path, bytes, or an open file")


def _body(payload: Any, content_type: str | None) -> tuple[bytes, str]:
    if isinstance(payload, bytes | bytearray | memoryview):
        body = bytes(payload)
        return body, content_type or (JSON if _is_json_document(body) else BYTES)
    if isinstance(payload, os.PathLike) or hasattr(payload, "read"):
        body, name = file_content(payload)
        return body, content_type or type_of_file(PurePath(name).suffix)
    if isinstance(payload, str) and content_type and media_type(content_type) != JSON:
        return payload.encode(), content_type
    return to_json(payload), content_type or JSON


def _is_json_document(body: bytes) -> bool:
    if body.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _form(files: Mapping[str, Any], form: Mapping[str, Any]) -> tuple[bytes, str]:
    plain = [(name, text) for name, value in form.items() for text in _texts(value)]
    if not files:
        return urlencoded(plain), URLENCODED
    fields = [FormField(name, text.encode()) for name, text in plain]
    return multipart([*fields, *(_file(name, one) for name, value in files.items() for one in _each(value))])


def _file(name: str, value: Any) -> FormField:
    filename, content_type = "", None
    if isinstance(value, tuple):
        if not 2 <= len(value) <= 3:
            raise PayloadError(f"file {name}: give (filename, content) or (filename, content, content type)")
        filename, value, content_type = (*value, None)[:3]
        value = value.encode() if isinstance(value, str) else value
    content, own = file_content(value)
    filename = filename or own or name
    return FormField(name, content, filename, content_type or type_of_file(PurePath(filename).suffix))


def _each(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> Iterator[str]:
    """How a field of a form holds a value: a list by repeating the field, nothing for None, objects as JSON."""
    for one in _each(value):
        if isinstance(one, str):
            yield one
        elif one is not None:
            yield to_json(one).decode()


def _pairs(query: Query) -> list[tuple[str, str]]:
    pairs = query.items() if isinstance(query, Mapping) else query
    return [(name, text) for name, value in pairs for text in _texts(value)]
