"""What Envoy hears of endpoints: Envoy's end of the stream is played by h2 and by an encoder of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.localcloud.services.elbv2 import endpoint_messages
from cortex_cdk.localcloud.services.elbv2.endpoint_server import EndpointServer
from cortex_cdk.localcloud.services.elbv2.routing import Endpoint, Group

IRIS = Group("targetgroup/iris/1", "round_robin", (Endpoint(20001), Endpoint(20002, draining=True)))
SHOES = Group("targetgroup/shoes/2", "round_robin", ())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EndpointServer]:
    started = EndpointServer(tmp_path / "endpoints.sock")
    started.open()
    yield started
    started.close()


class Router:
    """Envoy's end of a stream."""

    def __init__(self, path: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(10)
        self._connection.connect(str(path))
        self._http = H2Connection(H2Configuration(client_side=True))
        self._http.initiate_connection()
        names = (":method", ":scheme", ":authority", ":path", "te")
        values = ("POST", "http", "endpoints", "/service/DeltaAggregatedResources", "trailers")
        self._http.send_headers(1, list(zip(names, values, strict=True)))
        self._received = bytearray()

    def ask(self, *, subscribe: tuple[str, ...] = (), unsubscribe: tuple[str, ...] = ()) -> None:
        names = [(3, name) for name in subscribe] + [(4, name) for name in unsubscribe]
        parts = [bytes((number << 3 | 2, len(name))) + name.encode() for number, name in names]
        message = endpoint_messages.enveloped(b"".join(parts))
        for start in range(0, len(message), self._http.max_outbound_frame_size):
            self._http.send_data(1, message[start : start + self._http.max_outbound_frame_size])
        self._connection.sendall(self._http.data_to_send())

    def told(self) -> bytes:
        """The next message."""
        while not (messages := list(endpoint_messages.taken_out(self._received))):
            for event in self._http.receive_data(self._connection.recv(65536)):
                if isinstance(event, DataReceived):
                    self._http.acknowledge_received_data(event.flow_controlled_length, 1)
                    self._received += event.data
            self._connection.sendall(self._http.data_to_send())
        (message,) = messages
        return message

    def leave(self) -> None:
        self._connection.close()


def test_a_group_is_told_when_asked_for_and_when_it_changes_and_no_other_one_then(
    server: EndpointServer, tmp_path: Path
) -> None:
    server.publish([IRIS, SHOES])
    router = Router(tmp_path / "endpoints.sock")
    router.ask(subscribe=(IRIS.name, SHOES.name))
    both = router.told()
    server.publish([IRIS, replace(SHOES, endpoints=(Endpoint(20003),))])
    changed = router.told()
    router.leave()

    assert endpoint_messages.assignment(IRIS) in both
    assert endpoint_messages.assignment(SHOES) in both
    assert b"iris" not in changed
    assert b"shoes" in changed


def test_a_router_that_was_started_again_hears_everything(server: EndpointServer, tmp_path: Path) -> None:
    server.publish([IRIS])
    for _ in range(2):
        router = Router(tmp_path / "endpoints.sock")
        router.ask(subscribe=(IRIS.name,))
        assert b"iris" in router.told()
        router.leave()


def test_a_group_is_told_again_when_asked_for_again_and_never_when_unwanted(
    server: EndpointServer, tmp_path: Path
) -> None:
    server.publish([IRIS, SHOES])
    router = Router(tmp_path / "endpoints.sock")
    router.ask(subscribe=(IRIS.name, SHOES.name))
    router.told()
    router.ask(subscribe=(IRIS.name,), unsubscribe=(SHOES.name,))
    again = router.told()
    server.publish([replace(IRIS, endpoints=()), replace(SHOES, endpoints=(Endpoint(20003),))])
    changed = router.told()
    router.leave()

    assert (b"iris" in again, b"shoes" in again) == (True, False)
    assert (b"iris" in changed, b"shoes" in changed) == (True, False)


def test_more_than_a_window_of_http_2_arrives_whole(server: EndpointServer, tmp_path: Path) -> None:
    groups = [replace(SHOES, name=f"targetgroup/{'x' * 60}-{number}/1") for number in range(700)]
    server.publish(groups)
    router = Router(tmp_path / "endpoints.sock")
    router.ask(subscribe=tuple(group.name for group in groups))
    told = router.told()
    router.leave()

    assert len(told) > 2 * 65535
    assert all(endpoint_messages.assignment(group) in told for group in groups)


def test_something_else_than_a_router_ends_its_own_connection_only(server: EndpointServer, tmp_path: Path) -> None:
    server.publish([IRIS])
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(tmp_path / "endpoints.sock"))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        stranger.settimeout(10)
        while stranger.recv(65536):
            pass
    router = Router(tmp_path / "endpoints.sock")
    router.ask(subscribe=(IRIS.name,))
    assert b"iris" in router.told()
    router.leave()


def test_endpoints_say_which_ones_drain() -> None:
    address = b"\x0a\x13\x0a\x11\x0a\x0f\x12\x09127.0.0.1\x18"
    ready, draining = (
        address + port + b"\x10" + state for port, state in ((b"\xa1\x9c\x01", b"\x01"), (b"\xa2\x9c\x01", b"\x03"))
    )

    assert endpoint_messages.assignment(IRIS).count(ready) == 1
    assert endpoint_messages.assignment(IRIS).count(draining) == 1


@given(st.binary(max_size=200), st.integers(0, 2**63), st.lists(st.text(max_size=300), max_size=3))
def test_fields_that_are_not_known_are_skipped(other: bytes, number: int, names: list[str]) -> None:
    skipped = endpoint_messages._part(1, other) + endpoint_messages._number(9, number) + b"\x55abcd" + b"\x51abcdefgh"
    asked = b"".join(endpoint_messages._part(3, name.encode()) for name in names)

    assert endpoint_messages.subscriptions(skipped + asked + skipped) == (names, [])
