"""The WSGI environment, with its constant part made once."""

from __future__ import annotations

import sys
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer


class CopiedEnvironment:
    """Mixin for tasks: copies the constant part and adds what differs between requests.

    The result is the same as waitress's own, key for key. It is used for requests that the fast parser understood and
    where no URL prefix is configured (it never is here); others get the stock environment.
    """

    environ: dict[str, Any] | None
    channel: Any
    request: Any
    version: str

    def get_environment(self) -> Any:
        """The environment of this request."""
        request = self.request
        told = getattr(request, "wsgi", None)
        if told is None or self.environ is not None:
            return super().get_environment()  # type: ignore[misc]
        channel = self.channel
        environ = channel.wsgi_constants
        if environ is None:
            environ = channel.wsgi_constants = constants(channel)
        environ = environ.copy()
        environ.update(told)
        environ["wsgi.url_scheme"] = request.url_scheme
        environ["wsgi.input"] = request.get_body_stream()
        self.environ = environ
        return environ


def constants(channel: Any) -> dict[str, Any]:
    """What is the same for every request of a connection."""
    server = channel.server
    return {
        "REMOTE_ADDR": channel.addr[0],
        "REMOTE_HOST": channel.addr[0],
        "REMOTE_PORT": str(channel.addr[1]),
        "SERVER_PORT": str(server.effective_port),
        "SERVER_NAME": server.server_name,
        "SERVER_SOFTWARE": server.adj.ident,
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": ReadOnlyFileBasedBuffer,
        "wsgi.input_terminated": True,
        "waitress.client_disconnected": channel.check_client_disconnected,
    }
