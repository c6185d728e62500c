"""Bodies that are produced piece by piece, after the application has returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cortex_serving.logs.capture import current


class StreamCut(OSError):
    """A streamed response cannot go on. waitress then closes the connection quietly, as after errors of sockets."""


def labelled(chunks: Iterable[bytes], request_id: str) -> Iterator[bytes]:
    """Pass on chunks. Each is produced under the request's id: another thread may go on, which works on others, too."""
    iterator = iter(chunks)
    current.request_id = request_id
    try:
        for chunk in iterator:
            current.request_id = None
            yield chunk
            current.request_id = request_id
    finally:
        current.request_id = request_id
        if hasattr(iterator, "close"):
            iterator.close()
