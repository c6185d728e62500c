"""Writes errors so that AWS tools can read them: as JSON for a request in JSON, else as XML.

Source: "AWS JSON 1.1", "AWS query" and "AWS restXml" of the Smithy documentation, sections on the serialization of
errors. One XML document serves all services with XML, because their clients look at ``Error`` only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def failure(environ: WSGIEnvironment, code: str, message: str) -> tuple[str, str]:
    """Return the answer to a call that failed.

    Args:
        environ: The request.
        code: The error's code, such as ``InternalFailure``.
        message: What went wrong.

    Returns:
        Content type and text.
    """
    if "HTTP_X_AMZ_TARGET" in environ or "json" in environ.get("CONTENT_TYPE", ""):
        return "application/json", json.dumps({"__type": code, "message": message})
    inside = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    return "text/xml", f"<ErrorResponse><Error>{inside}</Error></ErrorResponse>"
