"""What a file is sent as, and what an answer is read as."""

from __future__ import annotations

import mimetypes

JSON = "application/json"
BYTES = "application/octet-stream"
URLENCODED = "application/x-www-form-urlencoded"
EVENTS = "text/event-stream"
JSON_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
"""Types of one JSON document in each line; replicas write the first one."""

# Those that every machine knows, and no more: what a file is sent as must not depend on what is installed.
_KNOWN = mimetypes.MimeTypes()
# Not in every version of Python. IANA's names where there are some.
_MORE = {
    ".arrow": "application/vnd.apache.arrow.file",
    ".avif": "image/avif",
    ".flac": "audio/flac",
    ".heic": "image/heic",
    ".json": JSON,
    ".jsonl": JSON_LINES[0],
    ".m4a": "audio/mp4",
    ".md": "text/markdown; charset=utf-8",
    ".msgpack": "application/vnd.msgpack",
    ".ndjson": JSON_LINES[0],
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".parquet": "application/vnd.apache.parquet",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


def type_of_file(suffix: str) -> str:
    """Choose the content type of a file by the ending of its name.

    Args:
        suffix: The ending, with its dot, in any case; empty where there is none.
    """
    suffix = suffix.lower()
    return _MORE.get(suffix) or _KNOWN.guess_type(f"file{suffix}")[0] or BYTES


def content_type_of(suffix: str, body: bytes) -> str:
    """Choose the content type of a file.

    Args:
        suffix: The file's, with its dot; empty for standard input, which is JSON if it is text.
        body: The file's content.
    """
    return JSON if not suffix and _is_text(body) else type_of_file(suffix)


def is_json(content_type: str) -> bool:
    """Whether a content type is that of one JSON document. A stream of several documents has another type."""
    name = media_type(content_type)
    return name == JSON or (name.startswith("application/") and name.endswith("+json"))


def media_type(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _is_text(body: bytes) -> bool:
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False
