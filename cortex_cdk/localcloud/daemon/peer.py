"""Takes connections to the AWS API from the daemon's own user only.

A port on 127.0.0.1 is open to everybody on the machine, and the AWS API runs commands (``RunTask``). Linux knows the
owner of every socket, so the daemon can ask who holds the other end: once a connection, in some 15 microseconds. Other
systems, such as macOS, tell a user the connections of the user's own processes, so the other end must be one of those
(docs/decisions/0067-who-holds-the-other-end.md).
"""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import os
import socket
import struct
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psutil
from waitress.wasyncore import dispatcher

from cortex_cdk.localcloud.daemon.channel import Channel
from cortex_cdk.localcloud.endpoint import REFUSAL

if TYPE_CHECKING:
    from waitress.server import BaseWSGIServer

MAX_REFUSALS = 8
SOCKET_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""The second table has the clients that speak IPv4 through an IPv6 socket, as Java does."""

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_OWNER = struct.Struct("=II")
_OWNER_OFFSET = _HEADER.size + 64
"""User id and inode, behind the state, addresses, timer and queues of struct inet_diag_msg."""

log = logging.getLogger(__name__)


def take_own_users_connections(server: BaseWSGIServer) -> None:
    """Make a server refuse connections of other users, before a byte of them is read."""
    server.channel_class = _channel_of_own_user


def is_own_users(connection: socket.socket) -> bool:
    """Return whether a process of the daemon's user holds the other end of a connection on the loopback interface.

    Args:
        connection: An accepted TCP connection over IPv4. An end that is closed already is nobody's.
    """
    if not SOCKET_TABLES[0].is_file():
        # The youngest first: most programs connect soon after their start.
        return any(_holds_other_end(pid, connection) for pid in sorted(psutil.pids(), reverse=True))
    user = peer_user(connection)
    if user not in {None, os.geteuid()}:
        log.warning("refused a connection of user %d", user)
    return user == os.geteuid()


def peer_user(connection: socket.socket) -> int | None:
    """Return who holds the other end of a connection on the loopback interface.

    Args:
        connection: An accepted TCP connection over IPv4.

    Returns:
        The user id; None if the other end is closed already. Such an end has no inode, and the kernel gives it to root.
    """
    try:
        return _ask_kernel(connection)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        # Some sandboxes have no netlink. The tables say the same, but the kernel makes them anew for each reader.
        return _look_up(connection)


def _ask_kernel(connection: socket.socket) -> int | None:
    """Ask for the one socket whose own address is our peer's (sock_diag(7))."""
    (own, own_port), (peer, peer_port) = connection.getsockname(), connection.getpeername()
    ends = struct.pack("!HH4s12x4s12x", peer_port, own_port, socket.inet_aton(peer), socket.inet_aton(own))
    every_state = 0xFFFFFFFF
    request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, every_state)
    message = request + ends + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    header = _HEADER.pack(_HEADER.size + len(message), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + message)
        answer = kernel.recv(1024)
    if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
        raise OSError(-struct.unpack_from("=i", answer, _HEADER.size)[0], "the kernel does not tell the owner")
    user, inode = _OWNER.unpack_from(answer, _OWNER_OFFSET)
    return user if inode else None


def _look_up(connection: socket.socket) -> int | None:
    ends = [_in_hexadecimal(*connection.getpeername()), _in_hexadecimal(*connection.getsockname())]
    prefixes = ("", f"{'0' * 16}{socket.ntohl(0xFFFF):08X}")
    for table, prefix in zip(SOCKET_TABLES, prefixes, strict=True):
        rows = table.read_text("ascii") if table.is_file() else ""
        start = rows.find(f" {' '.join(prefix + end for end in ends)} ")
        if start >= 0:
            # After the two addresses: state, queues, timer, retransmissions, user id, timeout, inode (proc(5)).
            fields = rows[start : start + 200].split()
            return int(fields[6]) if int(fields[8]) else None
    return None


def _holds_other_end(pid: int, connection: socket.socket) -> bool:
    """Return whether a process is the user's own, and has the other end."""
    ends = (connection.getpeername(), connection.getsockname())
    try:
        process = psutil.Process(pid)
        if process.uids().effective != os.geteuid():
            return False
        return any((_plain(held.laddr), _plain(held.raddr)) == ends for held in process.net_connections("tcp"))
    except psutil.Error:
        # It has ended meanwhile, or is of a kind that the system tells nothing about.
        return False


def _plain(address: Any) -> tuple[str, int] | None:
    """Return an address as an IPv4 socket has it, though a client such as Java speaks IPv4 through an IPv6 socket."""
    return (address.ip.removeprefix("::ffff:"), address.port) if address else None


def _in_hexadecimal(address: str, port: int) -> str:
    # The kernel prints the four bytes of an address as one number in the machine's byte order.
    return f"{ctypes.c_uint32.from_buffer_copy(socket.inet_aton(address)).value:08X}:{port:04X}"


def _channel_of_own_user(
    server: BaseWSGIServer, connection: socket.socket, address: Any, adjustments: Any, map: Any
) -> Channel | None:
    own = False
    with suppress(OSError):  # the other end has gone
        own = is_own_users(connection)
    if own:
        return Channel(server, connection, address, adjustments, map=map)
    Refusal(connection, map)
    return None


class Refusal(dispatcher):  # type: ignore[misc]  # waitress has no types
    """A connection that gets a 403 as soon as a request has come: an answer before the request would be lost.

    Connections without a request must not fill the server, so only a few are kept at a time.
    """

    waiting: ClassVar[deque[Refusal]] = deque()

    def __init__(self, connection: socket.socket, map: Any) -> None:
        super().__init__(connection, map)
        self.waiting.append(self)
        if len(self.waiting) > MAX_REFUSALS:
            self.waiting[0].handle_close()

    def writable(self) -> bool:
        """Return False: nothing is sent before a request has come."""
        return False

    def handle_read(self) -> None:
        """Answer the request, whatever it asks, and end the connection."""
        self.recv(1 << 16)
        body = json.dumps({"message": REFUSAL}).encode()
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.send(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.handle_close()

    def handle_close(self) -> None:
        """End the connection."""
        if self in self.waiting:
            self.waiting.remove(self)
            self.close()
