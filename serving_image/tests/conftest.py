"""A real replica in a process of its own, spoken to over real HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

SERVE = [sys.executable, "-m", "cortex_serving.cli"]
PATIENCE = 30.0


class Replica:
    """A running ``cortex-serve`` and its log lines."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.broken: list[bytes] = []
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.session = requests.Session()
        self.address = ""

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            try:
                record = json.loads(text)
            except ValueError:
                self.broken.append(text)
                continue
            self.lines.append(record)
            self._events.put(record)
        self._events.put(None)

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next log line with that event; fails with the log if the process ends before."""
        while True:
            record = self._events.get(timeout=PATIENCE)
            if record is None:
                raise AssertionError(f"the replica ended before {event!r}:\n{self.log()}")
            if record.get("event") == "listening":
                self.address = f"http://{record['host']}:{record['port']}"
            if record.get("event") == event:
                return record

    def post(self, body: Any = None, path: str = "/api", **options: Any) -> requests.Response:
        """POST a JSON value (or ``data=``)."""
        if "data" not in options and "files" not in options:
            options["json"] = body
        return self.session.post(self.address + path, timeout=PATIENCE, **options)

    def get(self, path: str = "/readyz", **options: Any) -> requests.Response:
        return self.session.get(self.address + path, timeout=PATIENCE, **options)

    def connect(self) -> socket.socket:
        host, port = self.address.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def log(self) -> str:
        return "\n".join([json.dumps(record) for record in self.lines] + [repr(text) for text in self.broken])

    def messages(self, **fields: Any) -> list[str]:
        """Messages of the log lines that have these fields."""
        return [record["message"] for record in self.records(**fields)]

    def records(self, **fields: Any) -> list[dict[str, Any]]:
        """The log lines that have these fields."""
        return [
            record for record in list(self.lines) if all(record.get(name) == value for name, value in fields.items())
        ]


def eventually(check: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait until a condition holds, and return its value."""
    deadline = time.monotonic() + patience
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not become true in time")
        time.sleep(0.02)
    return value


@contextlib.contextmanager
def running(arguments: list[str], environ: dict[str, str] | None = None, *, ready: bool = True) -> Iterator[Replica]:
    process = subprocess.Popen(
        SERVE + arguments, env={**os.environ, **(environ or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    replica = Replica(process)
    try:
        if ready:
            replica.wait_for("ready")
        yield replica
    except Exception:
        print(replica.log())  # pytest shows it with the failure
        raise
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def write_project(directory: Path, code: str, **predictor: Any) -> Path:
    """A project folder with this predictor."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "predictor.py").write_text(textwrap.dedent(code))
    top = {
        name: predictor.pop(name)
        for name in ("monitoring", "autoscaling", "compute", "networking")
        if name in predictor
    }
    api = {"name": "api", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py", **predictor}}
    (directory / "cortex.yaml").write_text(json.dumps([{**api, **top}]))
    return directory


def task(project: Path, *, stop_timeout: int) -> dict[str, str]:
    """The environment of a replica in a task."""
    return {
        "CORTEX_SPEC": json.dumps(json.loads((project / "cortex.yaml").read_text())[0]),
        "CORTEX_PROJECT": str(project),
        "CORTEX_LISTEN": "127.0.0.1:0",
        "CORTEX_STOP_TIMEOUT": str(stop_timeout),
    }


# Takes a predictor's source, its fields of cortex.yaml, and ``ready`` and ``environ`` as ``running`` does.
Serve = Callable[..., Replica]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a replica of a predictor given as source; it is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(code: str, *, ready: bool = True, environ: dict[str, str] | None = None, **predictor: Any) -> Replica:
            project = write_project(tmp_path / "project", code, **predictor)
            arguments = [str(project), "--listen", "127.0.0.1:0"]
            return stack.enter_context(running(arguments, environ, ready=ready))

        yield start


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 with the empty buckets ``bucket`` and ``other``, which the environment names, too."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=PATIENCE)  # its state outlives the server
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    client.create_bucket(Bucket="other")
    yield client
    server.stop()


# pydantic takes "1" and true for an integer, as FastAPI does: a payload that breaks the document is not always refused.
LENIENT = ("--exclude-checks", "negative_data_rejection")


def schemathesis(replica: Replica, folder: Path, *arguments: str) -> str:
    """Have schemathesis try what it makes of the replica's document; everything must conform. Returns its output."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", "--no-color"),
        *("--max-examples", "60", "--generation-deterministic", "--continue-on-failure"),
        *(f"{replica.address}/openapi.json", *arguments),
    ]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not replica.messages(level="ERROR")
    return done.stdout
