"""Other users of the machine: nothing of the local cloud is theirs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cortex_cdk.localcloud.daemon import peer
from cortex_cdk.localcloud.endpoint import Endpoint
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
    assert asked_by(NOBODY, cloud) == (403, {"message": peer.REFUSAL})
    assert asked_by(os.geteuid(), cloud) == (200, {"clusterArns": []})
    assert client(cloud, "ecs").list_clusters()["clusterArns"] == []


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
