"""Targets that answer, and those that do not, asked at the same time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from cortex_cdk.localcloud.services.elbv2.health_probe import LONGEST_LINE, Answer, Probe, Probes

LONG = 60.0


@pytest.fixture
def probes() -> Iterator[Probes[str]]:
    made = Probes[str]()
    yield made
    made.close()


@pytest.fixture
def target() -> Iterator[Callable[[list[bytes]], int]]:
    """Makes a target that reads a request and writes pieces; returns its port."""
    servers: list[socket.socket] = []

    def make(pieces: list[bytes]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(LONGEST_LINE)
                for piece in pieces:
                    connection.sendall(piece)

        threading.Thread(target=answer, daemon=True).start()
        return int(server.getsockname()[1])

    yield make
    for server in servers:
        server.close()


def answers(probes: Probes[str], count: int) -> dict[str, Answer]:
    """The next answers, by what they are of."""
    found: dict[str, Answer] = {}
    while len(found) < count:
        found.update(probes.answers(LONG))
    return found


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], 200),
        ([b"HTTP/1.0 503 Service ", b"Unavailable\r\n"], 503),
        ([b"HT", b"TP/1.1 20", b"4\r\n"], 204),
        ([b"HTTP/1.1 200"], 200),
        ([b"HTTP/1.1"], None),
        ([b"HTTP/1.1 2000 OK\r\n"], None),
        ([b"SSH-2.0-OpenSSH\r\n"], None),
        ([b"a" * (2 * LONGEST_LINE)], None),
        ([], None),
    ],
)
def test_the_status_of_an_answer(
    probes: Probes[str], target: Callable[[list[bytes]], int], pieces: list[bytes], status: int | None
) -> None:
    probes.start(Probe(target(pieces), "/healthz", LONG), "it")
    assert answers(probes, 1) == {"it": Answer(status)}


def test_a_target_that_says_nothing_keeps_no_other_waiting(
    probes: Probes[str], target: Callable[[list[bytes]], int]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It listens, so that the connection is made, and never answers.
        probes.start(Probe(silent.getsockname()[1], "/", LONG), "silent")
        probes.start(Probe(silent.getsockname()[1], "/", 0.0), "late")
        probes.start(Probe(target([b"HTTP/1.1 200 OK\r\n"]), "/", LONG), "good")
        assert answers(probes, 2) == {"late": Answer(timed_out=True), "good": Answer(200)}


def test_nobody_listens(probes: Probes[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    probes.start(Probe(port, "/", LONG), "nobody")
    assert answers(probes, 1) == {"nobody": Answer()}


def test_a_wait_is_ended_from_another_thread_however_often(probes: Probes[str]) -> None:
    for _ in range(100_000):
        probes.wake()
    assert list(probes.answers(LONG)) == []
