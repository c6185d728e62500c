"""Forms: named values and files in one body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FormField:
    """One field of a form.

    Attributes:
        name: Its name; a name may come more than once.
        content: Its value.
        filename: Of a file; None for a plain value.
        content_type: Of the value; None leaves it out.
    """

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


def multipart(fields: Sequence[FormField]) -> tuple[bytes, str]:
    """Write a form as ``multipart/form-data`` (RFC 7578).

    Returns:
        The body, and its content type with the boundary.
    """
    import httpx

    files = [(field.name, (field.filename, field.content, field.content_type)) for field in fields]
    # httpx writes a form only as the body of a request.
    request = httpx.Request("POST", "http://form.invalid", files=files)
    return request.read(), request.headers["Content-Type"]


def urlencoded(fields: Sequence[tuple[str, str]]) -> bytes:
    """Write names and values as a web page's form without files does."""
    from urllib.parse import urlencode

    return urlencode(fields).encode()
