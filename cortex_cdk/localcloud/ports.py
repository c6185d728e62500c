"""Chooses the ports of the local cloud, keeps them over restarts, and says who has a port that is taken."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud.endpoint import DaemonInfo, ask, read_info, refuses_us
from cortex_cdk.localcloud.settings import BALANCER_FOLDER, DEFAULT_HTTPS_PORT, HOST, PORT_VARIABLES, Settings


@dataclass(frozen=True)
class Ports:
    """The ports that one local cloud listens on.

    Attributes:
        control: Port of the AWS API.
        http: Port of the load balancer.
        https: Port of the load balancer for TLS.
    """

    control: int
    http: int
    https: int


def resolve(settings: Settings, previous: Ports | None) -> Ports:
    """Turn the wanted ports into real ones. A fixed port must be free; 0 becomes the previous port or a free one.

    Args:
        settings: The wanted ports.
        previous: The ports of the last run. A port that is still free is kept.

    Raises:
        LocalCloudError: A fixed port is in use, or is wanted twice.
    """
    last = previous or Ports(0, 0, 0)
    for_control, for_http, for_https = PORT_VARIABLES
    fixed = [port for port in (settings.control_port, settings.http_port, settings.https_port) if port]
    taken = set(fixed)
    if len(taken) < len(fixed):
        raise LocalCloudError(
            f"The local cloud cannot have the same port twice: {', '.join(map(str, fixed))}.",
            hint=f"Choose different ports: {for_control}, {for_http}, {for_https} (0 picks a free one).",
        )
    control = _pick(settings.control_port, last.control, for_control, taken)
    http = _pick(settings.http_port, last.http, for_http, taken | {control})
    # A taken port for TLS must not keep the local cloud from starting: only few clusters listen on that port.
    usual = last.https or DEFAULT_HTTPS_PORT
    before = usual if settings.https_port is None else last.https
    return Ports(control, http, _pick(settings.https_port or 0, before, for_https, taken | {control, http}))


def require_free(port: int, variable: str) -> None:
    """Check that nothing listens on a port. Port 0 is always free.

    Args:
        port: The port on 127.0.0.1.
        variable: The environment variable that sets the port, for the hint.

    Raises:
        LocalCloudError: The port is in use; the message names the local cloud that has it, if one has.
    """
    if not port or is_free(port):
        return
    move = f"choose another port: {variable}=<port> (0 picks a free one)."
    holder = _local_cloud_at(port)
    if holder is None and refuses_us(port):
        raise LocalCloudError(
            f"Port {port} on {HOST} is in use by the local cloud of another user of this machine, so this one cannot "
            "start.",
            hint=f"{move[0].upper()}{move[1:]}",
        )
    if holder is None:
        raise LocalCloudError(
            f"Port {port} on {HOST} is in use by another program, so the local cloud cannot start.",
            hint=f"Stop that program, or {move}",
        )
    raise LocalCloudError(
        f"Port {port} on {HOST} is in use by the local cloud of {holder.state} (process {holder.pid}), "
        "so this one cannot start.",
        hint=f"Stop the other one with: CORTEX_HOME={Path(holder.state).parent} cortex local down. Or {move}",
    )


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port of 127.0.0.1 right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port counts as free though its last connections are still in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _local_cloud_at(port: int) -> DaemonInfo | None:
    """Return the local cloud of this user that listens on a port, with its AWS API or its load balancer."""
    return ask(port) or _of_load_balancer(port)


def _of_load_balancer(port: int) -> DaemonInfo | None:
    """Return the local cloud whose Envoy listens on a port. Only Envoy's command line tells whose Envoy it is."""
    import psutil

    with suppress(psutil.Error):
        for listener in psutil.net_connections("tcp4"):
            if listener.status == psutil.CONN_LISTEN and listener.laddr == (HOST, port) and listener.pid:
                files = [Path(word) for word in psutil.Process(listener.pid).cmdline()]
                states = [file.parent.parent for file in files if file.parent.name == BALANCER_FOLDER]
                return read_info(states[0]) if states else None
    return None


def _pick(wanted: int, previous: int, variable: str, taken: set[int]) -> int:
    if wanted:
        require_free(wanted, variable)
        return wanted
    if previous and previous not in taken and is_free(previous):
        return previous
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
