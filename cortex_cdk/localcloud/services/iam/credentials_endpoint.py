"""Answers tasks that ask for their credentials, as the ECS agent does at 169.254.170.2.

SDKs give up after two seconds, tried three times. So the endpoint has a port and threads of its own: it waits for
nothing that the AWS API is busy with.
Source: SDK reference guide, "Container credential provider"; ``botocore.utils.ContainerMetadataFetcher``.
"""

from __future__ import annotations

import json
import threading
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cortex_cdk.localcloud.services.iam.sessions import SESSIONS, Session
from cortex_cdk.localcloud.settings import HOST

PATH = "/v2/credentials/"
"""The path of the ECS agent's endpoint, before the task's id."""


def variables(session: Session) -> dict[str, str]:
    """Return the environment variables by which the SDKs of a task find the credentials of its role."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{HOST}:{_port()}{PATH}{session.name}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": session.token,
    }


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds, for a client that sends nothing

    def do_GET(self) -> None:
        session = SESSIONS.of_token(self.path.removeprefix(PATH), self.headers.get("Authorization", ""))
        if session:
            self._answer(HTTPStatus.OK, session.credentials())
        else:
            self._answer(HTTPStatus.UNAUTHORIZED, {"code": "Unauthorized", "message": "The token is not valid."})

    def _answer(self, status: HTTPStatus, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing: a task asks every few hours."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # tasks that start together ask together


@cache
def _port() -> int:
    server = _Server((HOST, 0), _Handler)
    threading.Thread(target=server.serve_forever, name="credentials", daemon=True).start()
    return server.server_port
