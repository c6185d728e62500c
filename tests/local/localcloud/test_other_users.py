"""Other users of the machine: nothing of the local cloud is theirs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud import launcher
from cortex_cdk.localcloud.daemon import peer
from cortex_cdk.localcloud.endpoint import HEALTH_PATH, REFUSAL, Endpoint, hold_life_lock, read_info
from cortex_cdk.localcloud.settings import Settings
from cortex_cdk.localcloud.state_folder import make_state_folder
from tests.local.localcloud.stacks import client, running

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("users") / "local") as endpoint:
        yield endpoint


PROGRAM = """
import encodings.idna, http.client, os, sys  # what this user may not read is imported before the change
os.setuid(int(sys.argv[2]))
connection = http.client.HTTPConnection(sys.argv[1], timeout=10)
headers = {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters", "Authorization": sys.argv[3]}
connection.request("POST", "/", "{}", {"Content-Type": "application/x-amz-json-1.1", **headers})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


def asked_by(user: int, endpoint: Endpoint) -> tuple[int, dict[str, object]]:
    """Status and body that a program of a user gets for ListClusters."""
    signature = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=0"
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, urlsplit(endpoint.control_url).netloc, str(user), signature],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    status, _, body = done.stdout.partition(" ")
    return int(status), json.loads(body)


@as_root
def test_another_user_gets_nothing_and_the_own_user_is_answered(cloud: Endpoint) -> None:
    assert asked_by(NOBODY, cloud) == (403, {"message": REFUSAL})
    assert asked_by(os.geteuid(), cloud) == (200, {"clusterArns": []})
    assert client(cloud, "ecs").list_clusters()["clusterArns"] == []


NEIGHBOUR = """
import http.client, os, sys
from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud import ports
os.setuid(int(sys.argv[2]))
try:
    ports.require_free(int(sys.argv[1]), "CORTEX_LOCAL_PORT")
except LocalCloudError as error:
    print(error.message, error.hint, sep="\\n")
"""


@as_root
def test_another_user_whose_port_is_taken_learns_by_whom(cloud: Endpoint) -> None:
    port = str(urlsplit(cloud.control_url).port)
    done = subprocess.run(
        [sys.executable, "-c", NEIGHBOUR, port, str(NOBODY)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [
        f"Port {port} on 127.0.0.1 is in use by the local cloud of another user of this machine, so this one cannot "
        "start.",
        "Choose another port: CORTEX_LOCAL_PORT=<port> (0 picks a free one).",
    ]


BLANKS = b" \t" * 30_000
ATTACKS = {
    "blanks": (b"X:" + BLANKS + b"\x01\r\n\r\n", b"400"),
    "blanks that are allowed": (b"X:" + BLANKS + b"a\r\n\r\n", b"200"),
    "a long header": (b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
    "chunk extensions": (b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 40_000, b"400"),
    "a trailer": (b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 8_000, b"431"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_requests_that_are_made_to_hurt_cost_no_time(cloud: Endpoint, attack: str) -> None:
    text, status = ATTACKS[attack]
    location = urlsplit(cloud.control_url)
    with socket.create_connection((location.hostname or "", location.port or 0), timeout=20) as connection:
        connection.sendall(f"GET {HEALTH_PATH} HTTP/1.1\r\nHost: localhost\r\n".encode() + text)
        assert connection.recv(1000)[9:12] == status


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("netlink", [True, False])
def test_the_owner_of_the_other_end_is_known(
    family: socket.AddressFamily, netlink: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not netlink:
        # As in a sandbox without this kind of socket.
        monkeypatch.setattr(peer, "_NETLINK_SOCK_DIAG", 63)
    address = "127.0.0.1" if family == socket.AF_INET else "::ffff:127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(family) as caller:
        caller.connect((address, server.getsockname()[1]))
        connection, _ = server.accept()
        with connection:
            assert peer.peer_user(connection) == os.geteuid()


@pytest.mark.parametrize("netlink", [True, False])
def test_an_end_that_is_closed_belongs_to_nobody(netlink: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel counts it as root's: whoever sends and leaves must not be taken for a daemon that root started."""
    if not netlink:
        monkeypatch.setattr(peer, "_NETLINK_SOCK_DIAG", 63)
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = socket.create_connection(server.getsockname())
        connection, _ = server.accept()
        with connection:
            caller.close()
            assert connection.recv(1) == b""
            assert peer.peer_user(connection) is None


CALLER = """
import encodings.idna, os, socket, sys  # what this user may not read is imported before the change
os.setuid(int(sys.argv[1]))
connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
print("connected", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def without_socket_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on macOS: a user sees the connections of the user's own processes only."""
    monkeypatch.setattr(peer, "SOCKET_TABLES", (tmp_path / "tcp",))


def is_taken(user: int, *, closed: bool = False) -> bool:
    """Whether the connection of a program of a user is taken for one of our own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [sys.executable, "-I", "-c", CALLER, str(user), str(server.getsockname()[1])]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
            assert caller.stdin
            assert caller.stdout
            connection, _ = server.accept()
            with connection:
                assert caller.stdout.readline() == b"connected\n"
                if closed:
                    caller.stdin.close()
                    caller.wait()
                return peer.is_own_users(connection)


@pytest.mark.usefixtures("without_socket_tables")
def test_where_the_system_tells_no_owners_the_other_end_must_be_of_an_own_process() -> None:
    assert is_taken(os.geteuid())
    assert not is_taken(os.geteuid(), closed=True)


@as_root
@pytest.mark.usefixtures("without_socket_tables")
def test_where_the_system_tells_no_owners_other_users_are_refused_all_the_same() -> None:
    assert not is_taken(NOBODY)


@pytest.mark.usefixtures("without_socket_tables")
def test_where_the_system_tells_no_owners_ipv4_through_an_ipv6_socket_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as caller:
        caller.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        connection, _ = server.accept()
        with connection:
            assert peer.is_own_users(connection)


class Impostor(BaseHTTPRequestHandler):
    """Answers the health door with whatever the daemon once answered there."""

    answer: ClassVar[dict[str, object]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps(self.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("alive", [False, True])
def test_who_takes_the_port_of_a_stopped_cloud_is_not_believed(tmp_path: Path, alive: bool) -> None:
    state = tmp_path / "home" / "local"
    with running(state) as endpoint:
        info = read_info(state)
        assert info is not None
        with urllib.request.urlopen(f"{endpoint.control_url}{HEALTH_PATH}?nonce=seen") as response:
            Impostor.answer = json.load(response)
    assert "secret" not in Impostor.answer
    assert read_info(state) is None, "the file outlived its daemon"
    Impostor.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", info.control_port), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # Even a file that a crash left behind, and a daemon that only begins, make nobody believe the answer.
        info.write(state)
        with (hold_life_lock(state) or nullcontext()) if alive else nullcontext():
            assert launcher.status(Settings(state=state)) is None
        server.shutdown()
    assert bool(Impostor.asked) == alive


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
@pytest.mark.parametrize("place", ["home", "home/local"])
def test_a_state_folder_that_others_may_write_to_is_refused(tmp_path: Path, place: str, mode: int) -> None:
    (tmp_path / "home" / "local").mkdir(parents=True)
    (tmp_path / place).chmod(mode)
    with pytest.raises(LocalCloudError, match=f"may write to {tmp_path / place} ") as refusal:
        make_state_folder(tmp_path / "home" / "local")
    assert refusal.value.hint == f"Take that away with: chmod go-w {tmp_path / place}"
    (tmp_path / place).chmod(0o755)
    make_state_folder(tmp_path / "home" / "local")


@as_root
@pytest.mark.parametrize("place", ["home", "home/local"])
def test_a_state_folder_of_another_user_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "home" / "local").mkdir(parents=True)
    os.chown(tmp_path / place, NOBODY, NOBODY)
    settings = Settings(state=tmp_path / "home" / "local", control_port=0, http_port=0, https_port=0)
    with pytest.raises(LocalCloudError, match="belongs to another user"):
        launcher.ensure_running(settings)
    assert list((tmp_path / "home" / "local").iterdir()) == []


def test_a_new_state_folder_is_the_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_state_folder(tmp_path / "home" / "local")
    finally:
        os.umask(before)
    assert {(tmp_path / place).stat().st_mode & 0o777 for place in ("home", "home/local")} == {0o700}
