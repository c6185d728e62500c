"""Connections that one worker passes on to another."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cortex_serving.server.connection_passing import Inbox
from cortex_serving.shared_state import Board, Slot, State


class OtherThread:
    """Opens a file at every step of a method, as a thread of the predictor may: it gets the lowest free number."""

    def __init__(self, method: str) -> None:
        self.opened: list[int] = []
        self._method = method

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_name != self._method:
            return None
        self.opened.append(os.open(os.devnull, os.O_RDONLY))
        return self.trace


def _ready() -> Slot:
    slot = Board.create(1).slot(0)
    slot.state = State.READY
    return slot


@pytest.fixture
def sockets() -> Any:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setblocking(False)
    yield sender, receiver
    sender.close()
    receiver.close()


@pytest.mark.parametrize("kind", ["gone", "no socket"])
def test_a_connection_that_cannot_be_adopted_is_closed_once(
    sockets: tuple[socket.socket, socket.socket], kind: str
) -> None:
    sender, receiver = sockets
    adopted: list[Any] = []
    inbox = Inbox(receiver, _ready(), lambda *connection: adopted.append(connection), {})
    # A socket without a peer is like one whose client has reset it.
    passed = socket.socket().detach() if kind == "gone" else os.open(os.devnull, os.O_RDONLY)
    socket.send_fds(sender, [b"\1", b"POST "], [passed])
    os.close(passed)
    other = OtherThread("_adopt")
    before = len(list(Path("/proc/self/fd").iterdir()))
    sys.settrace(other.trace)
    try:
        inbox.handle_read()
    finally:
        sys.settrace(None)
    assert adopted == []
    assert other.opened
    for number in other.opened:
        os.close(number)  # raises if it was closed by somebody else
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "the connection was not closed"


def test_a_connection_is_adopted_with_its_client_its_bytes_and_its_hops(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    sender, receiver = sockets
    adopted: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        passed, _ = listener.accept()
        with passed:
            socket.send_fds(sender, [b"\2", b"POST "], [passed.fileno()])
        Inbox(receiver, _ready(), lambda *connection: adopted.append(connection), {}).handle_read()
        [(connection, address, data, hops)] = adopted
        with connection:
            assert (address, data, hops) == (client.getsockname(), b"POST ", 2)
            connection.sendall(b"answer")
        assert client.recv(10) == b"answer"
