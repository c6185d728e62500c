"""What the data plane's tests run as a container: a small server whose behaviour its environment decides.

``ANSWER`` is what it says; ``FAIL`` makes it exit with that message; ``READY`` set to ``no`` makes its health check
fail; ``EAT`` is a number of MiB to hold; ``IGNORE_TERM`` makes it ignore SIGTERM; ``START`` is seconds to wait first.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/ready":
            self.answer(503 if os.environ.get("READY") == "no" else 200, {})
            return
        query = parse_qs(parts.query)
        time.sleep(float(query.get("sleep", ["0"])[0]))
        while "until" in query and not Path(query["until"][0]).exists():
            time.sleep(0.01)
        if "gone" in query and self.connection.recv(1) == b"":
            Path(query["gone"][0]).touch()
        if "exit" in query:
            os._exit(int(query["exit"][0]))
        self.answer(
            int(query.get("status", ["200"])[0]),
            {
                "answer": os.environ.get("ANSWER", "none"),
                "pid": os.getpid(),
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "environment": dict(os.environ),
            },
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing about requests."""


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 256


def main() -> None:
    if os.environ.get("IGNORE_TERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if message := os.environ.get("FAIL"):
        Path(os.environ["CORTEX_TERMINATION_LOG"]).write_text(message + "\n")
        sys.exit(1)
    time.sleep(float(os.environ.get("START", "0")))
    print("started", flush=True)
    ballast = b"x" * (int(os.environ.get("EAT", "0")) * 1024 * 1024)
    host, _, port = os.environ["CORTEX_LISTEN"].rpartition(":")
    Server((host, int(port)), Handler).serve_forever()
    del ballast


if __name__ == "__main__":
    main()
