"""What a running local cloud says about itself: the file that it writes and the door that it answers."""

from __future__ import annotations

import fcntl
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from cortex_cdk.localcloud.settings import DEFAULT_SPEED, HOST

HEALTH_PATH = "/_cortex/health"
STATE_FILE = "daemon.json"
LIFE_LOCK = "daemon.lock"


@dataclass(frozen=True)
class Endpoint:
    """Where a running local cloud answers.

    Attributes:
        control_url: Base URL of the AWS API (``endpoint_url`` of boto3).
        http_url: Base URL of the load balancer.
        pid: Process id of the daemon.
        notice: What every command tells about the last start, such as that a stack could not be brought back.
        news: What ``cortex local up`` and ``status`` tell besides, such as that all stacks were made again.
    """

    control_url: str
    http_url: str
    pid: int
    notice: str | None = None
    news: str | None = None


@dataclass(frozen=True)
class DaemonInfo:
    """What the daemon writes to ``daemon.json`` and answers on its health door.

    Attributes:
        pid: Process id.
        control_port: Port of the AWS API.
        http_port: Port of the load balancer.
        https_port: Its port for TLS.
        version: Version of cortex-cdk that the daemon runs.
        state: The state folder, absolute.
        notice: What every command should tell about this start, or None.
        news: What ``cortex local up`` and ``status`` should tell besides, or None.
        speed: How many times faster than AWS its clock runs.
    """

    pid: int
    control_port: int
    http_port: int
    version: str
    state: str
    notice: str | None = None
    news: str | None = None
    https_port: int = 0
    speed: float = DEFAULT_SPEED

    @property
    def endpoint(self) -> Endpoint:
        """The URLs to talk to."""
        return Endpoint(
            control_url=f"http://{HOST}:{self.control_port}",
            http_url=f"http://{HOST}:{self.http_port}",
            pid=self.pid,
            notice=self.notice,
            news=self.news,
        )

    def write(self, folder: Path) -> None:
        """Write ``daemon.json`` so that a reader sees the old or the new file, never half of one."""
        scratch = folder / f"{STATE_FILE}.new"
        scratch.write_text(json.dumps(asdict(self), indent=2) + "\n")
        scratch.replace(folder / STATE_FILE)


def read_info(folder: Path) -> DaemonInfo | None:
    """What the last daemon of that state folder wrote; None if there never was one or the file is unreadable."""
    with suppress(OSError, ValueError, TypeError):
        return DaemonInfo(**json.loads((folder / STATE_FILE).read_text()))
    return None


def ask(port: int, timeout: float = 2.0) -> DaemonInfo | None:
    """Ask whoever listens on a port whether it is a local cloud.

    Args:
        port: The control port on 127.0.0.1.
        timeout: Seconds to wait for the answer.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", HEALTH_PATH)
        return DaemonInfo(**json.loads(connection.getresponse().read()))
    except (OSError, ValueError, TypeError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def hold_life_lock(folder: Path, patience: float = 2.0) -> IO[str] | None:
    """Become the one daemon of a state folder; the lock goes when the process does, however it ends.

    Args:
        folder: The state folder.
        patience: Seconds to try: somebody who only looks holds the lock for an instant.

    Returns:
        The open lock file, to be kept; None if another daemon lives.
    """
    stream = (folder / LIFE_LOCK).open("a")
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if _lock(stream, fcntl.LOCK_EX):
            return stream
        time.sleep(0.02)
    stream.close()
    return None


def is_alive(folder: Path) -> bool:
    """Whether a daemon of that state folder lives.

    The daemon holds a lock for as long as it lives, so a reused process id or a left-over
    ``daemon.json`` cannot deceive.
    """
    try:
        with (folder / LIFE_LOCK).open("a") as stream:
            return not _lock(stream, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for whoever holds it now."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _lock(stream: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
