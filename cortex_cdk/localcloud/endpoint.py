"""Finds a running local cloud: by the file that the daemon writes, and by the health door that the daemon answers."""

from __future__ import annotations

import fcntl
import hmac
import http.client
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from cortex_cdk.localcloud.settings import DEFAULT_SPEED, HOST

HEALTH_PATH = "/_cortex/health"
FAULTS_PATH = "/_cortex/faults"
STATE_FILE = "daemon.json"
"""Exists while the local cloud answers, and goes with the daemon."""
PORTS_FILE = "ports.json"
"""Keeps the last ports. The file outlives the daemon."""
NONCE = "nonce"
LIFE_LOCK = "daemon.lock"
REFUSAL = "The local cloud answers only programs of the user who started it."
"""What programs of other users are answered."""
HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Endpoint:
    """The addresses of a running local cloud.

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
    """What the daemon writes to ``daemon.json``, and tells on its health door.

    Attributes:
        pid: Process id.
        control_port: Port of the AWS API.
        http_port: Port of the load balancer.
        https_port: Port of the load balancer for TLS.
        version: Version of cortex-cdk that the daemon runs.
        state: The state folder, absolute.
        notice: What every command should tell about this start, or what is wrong now; or None.
        news: What ``cortex local up`` and ``status`` should tell besides, or None.
        speed: How many times faster than AWS the clock of the local cloud runs.
        secret: Text that only readers of the state folder know. The health door never tells it.
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
    secret: str = field(default="", repr=False)

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

    def health(self, nonce: str = "") -> dict[str, Any]:
        """Return the answer of the health door.

        Args:
            nonce: Text of the caller. The answer proves with the text that this daemon knows the secret.
        """
        answer = asdict(self)
        del answer["secret"]
        return {**answer, "proof": _proof(self.secret, nonce)} if nonce else answer

    def write(self, folder: Path) -> None:
        """Write the files. A reader sees the old or the new content, never half of one."""
        ports = {name: value for name, value in asdict(self).items() if name.endswith("_port")}
        for name, content in ((PORTS_FILE, ports), (STATE_FILE, asdict(self))):
            scratch = folder / f"{name}.new"
            scratch.touch(mode=0o600)
            scratch.write_text(json.dumps(content, indent=2) + "\n")
            scratch.replace(folder / name)


def read_info(folder: Path) -> DaemonInfo | None:
    """Return what the daemon of a state folder wrote; None if no daemon runs, or the file cannot be read."""
    with suppress(OSError, ValueError, TypeError):
        return DaemonInfo(**json.loads((folder / STATE_FILE).read_text()))
    return None


def read_ports(folder: Path) -> dict[str, int]:
    """Return the ports of a state folder's last daemon, by their names in ``DaemonInfo``; empty before the first."""
    with suppress(OSError, ValueError):
        ports: dict[str, int] = json.loads((folder / PORTS_FILE).read_text())
        return ports
    return {}


def ask(port: int) -> DaemonInfo | None:
    """Ask the program that listens on a port whether it is a local cloud.

    The answer may be a lie: see ``as_it_answers``.

    Args:
        port: The control port on 127.0.0.1.
    """
    with suppress(ValueError, TypeError):
        return DaemonInfo(**_health(port))
    return None


def refuses_us(port: int) -> bool:
    """Ask the program that listens on a port whether it says to be another user's local cloud.

    Args:
        port: The control port on 127.0.0.1.
    """
    return _health(port).get("message") == REFUSAL


def as_it_answers(info: DaemonInfo) -> DaemonInfo | None:
    """Ask the daemon that wrote this for its present notice; None if nobody answers, or another program.

    While it is stopped, another user of the machine may listen on its port, to be sent archives and secrets.
    """
    nonce = secrets.token_hex(16)
    answer = _health(info.control_port, nonce)
    proof, notice = answer.get("proof"), answer.get("notice")
    if not isinstance(proof, str) or not hmac.compare_digest(proof.encode(), _proof(info.secret, nonce).encode()):
        return None
    return replace(info, notice=notice if isinstance(notice, str) else None)


def _health(port: int, nonce: str = "") -> dict[str, Any]:
    connection = http.client.HTTPConnection(HOST, port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", f"{HEALTH_PATH}?{NONCE}={nonce}" if nonce else HEALTH_PATH)
        answer = json.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def _proof(secret: str, nonce: str) -> str:
    return hmac.digest(secret.encode(), nonce.encode(), "sha256").hex()


def hold_life_lock(folder: Path, patience: float = 2.0) -> IO[str] | None:
    """Become the one daemon of a state folder. The lock goes with the process, however the process ends.

    Args:
        folder: The state folder.
        patience: Seconds to try. A process that only looks holds the lock for an instant.

    Returns:
        The open lock file, which the caller keeps; None if another daemon lives.
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
    """Return whether a daemon of a state folder lives.

    The daemon holds a lock for as long as it lives. So neither a reused process id nor a left-over ``daemon.json`` can
    deceive.
    """
    try:
        with (folder / LIFE_LOCK).open("a") as stream:
            return not _lock(stream, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file. Wait while another process holds the lock."""
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
