"""Starts, finds and stops the daemon. Uses the standard library only, because each run of the CLI imports this."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud.endpoint import (
    STATE_FILE,
    DaemonInfo,
    Endpoint,
    as_it_answers,
    is_alive,
    read_info,
    waiting_lock,
)
from cortex_cdk.localcloud.settings import PORT_VARIABLES, SPEED_VARIABLE, Settings, asked
from cortex_cdk.localcloud.state_folder import make_state_folder

START_TIMEOUT = 60.0
STOP_TIMEOUT = 45.0
"""Seconds. A replica may take its whole stop timeout to drain; then the processes are killed."""
POLL_INTERVAL = 0.05
LAUNCH_LOCK = "launch.lock"
OUTPUT_FILE = "daemon.out"
LEAST_FREE = 1 << 20
"""Bytes of free disk. With less, the daemon can write neither state nor logs."""
NO_PROXY = ("127.0.0.1", "localhost", "::1")
REFUSED = 3
"""Exit status of a daemon that cannot start. Its first line says why, and the next what to do."""


def status(settings: Settings) -> Endpoint | None:
    """Return the addresses of the local cloud of these settings; None if the local cloud does not run."""
    info = _running(settings.state)
    return _as_it_runs(info) if info else None


def ensure_running(settings: Settings) -> Endpoint:
    """Start the local cloud unless it runs, and wait until it answers.

    Several processes may call this at once: one of them starts the daemon, the others find the daemon.

    Args:
        settings: The state folder, the ports and the speed. A local cloud that runs keeps its ports and its speed.

    Raises:
        LocalCloudError: A port is in use, the daemon ended early, or the daemon did not answer in time.
    """
    found = _running(settings.state)
    if found:
        return _as_it_runs(found)
    make_state_folder(settings.state)
    with waiting_lock(settings.state / LAUNCH_LOCK):
        found = _running(settings.state)
        if found:
            return _as_it_runs(found)
        child = None if is_alive(settings.state) else _start(settings)
        return _wait_until_up(settings, child).endpoint


def _as_it_runs(info: DaemonInfo) -> Endpoint:
    """Return the addresses of a daemon that ran before. The notice names the settings that have no effect on it."""
    has: dict[str, float] = dict(zip(PORT_VARIABLES, (info.control_port, info.http_port, info.https_port), strict=True))
    has[SPEED_VARIABLE] = info.speed
    differing = ", ".join(
        f"{name}={number:g} (it has {has[name]:g})" for name, number in asked().items() if number != has[name]
    )
    if not differing:
        return info.endpoint
    advice = "change it with: cortex local down, then cortex local up"
    notice = f"without effect while the local cloud runs: {differing}; {advice}"
    return replace(info.endpoint, notice="; ".join(filter(None, (info.notice, notice))))


def stop(settings: Settings) -> bool:
    """Stop the local cloud and wait until it is gone.

    Returns:
        False if the local cloud did not run. Processes that a killed daemon left behind are ended all the same.

    Raises:
        LocalCloudError: The local cloud runs, but its process id is unknown.
    """
    if not is_alive(settings.state):
        _end_orphans(settings.state)
        return False
    info = read_info(settings.state)
    if info is None:
        raise LocalCloudError(
            f"The local cloud of {settings.state} runs, but {settings.state / STATE_FILE} is gone.",
            hint="End the process 'python -m cortex_cdk.localcloud' by hand.",
        )
    _signal(info.pid, signal.SIGTERM)
    if not _wait_until_gone(settings.state, STOP_TIMEOUT):
        _signal(info.pid, signal.SIGKILL)
        _wait_until_gone(settings.state, STOP_TIMEOUT)
        _end_orphans(settings.state)
    return True


def kill(settings: Settings) -> int | None:
    """Kill the daemon as a lack of memory would, and leave the load balancer and the replicas as they are.

    Returns:
        The process id; None if the local cloud did not run.
    """
    info = read_info(settings.state)
    if info is None or not is_alive(settings.state):
        return None
    _signal(info.pid, signal.SIGKILL)
    _wait_until_gone(settings.state, STOP_TIMEOUT)
    return info.pid


def _end_orphans(state: Path) -> None:
    """End the replicas and the load balancer of a daemon that was killed."""
    from cortex_cdk.localcloud.containers import orphans

    orphans.end_all(state)


def _running(state: Path) -> DaemonInfo | None:
    info = read_info(state)
    return as_it_answers(info) if info and is_alive(state) else None


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    with (settings.state / OUTPUT_FILE).open("wb") as output:
        # In a session of its own: neither an interrupt nor the end of the terminal may reach the daemon.
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "cortex_cdk.localcloud", *arguments(settings)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # Not in the caller's folder: Python would import the user's modules before the standard library's.
            cwd=settings.state,
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """Return the daemon's environment, which builds and replicas get parts of.

    Without the caller's AWS configuration: the daemon needs no account, and a lost profile would stop it. And no proxy
    may be asked for addresses of this machine, such as that of the AWS API.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if excepted.strip() != "*":
        excepted = ",".join(filter(None, (excepted, *NO_PROXY)))
    return {**environment, "no_proxy": excepted, "NO_PROXY": excepted}


def arguments(settings: Settings) -> list[str]:
    """Return the arguments of ``python -m cortex_cdk.localcloud`` for these settings."""
    https = [] if settings.https_port is None else [f"--https-port={settings.https_port}"]
    return [
        f"--state={settings.state.resolve()}",
        f"--control-port={settings.control_port}",
        f"--http-port={settings.http_port}",
        *https,
        f"--speed={settings.speed}",
    ]


def _wait_until_up(settings: Settings, child: subprocess.Popen[bytes] | None) -> DaemonInfo:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        info = _running(settings.state)
        if info:
            return info
        ended = child.poll() is not None if child else not is_alive(settings.state)
        if ended:
            raise _early_end(settings.state, child)
        time.sleep(POLL_INTERVAL)
    raise LocalCloudError(
        f"The local cloud did not answer within {START_TIMEOUT:.0f} s.",
        hint=f"See {settings.state / 'daemon.log'}.",
    )


def _wait_until_gone(state: Path, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not is_alive(state):
            return True
        time.sleep(POLL_INTERVAL)
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _early_end(state: Path, child: subprocess.Popen[bytes] | None) -> LocalCloudError:
    """Return why the daemon is gone: its own words if it refused to start, else its last line."""
    if shutil.disk_usage(state).free < LEAST_FREE:
        # The daemon could not write that down either.
        return LocalCloudError(
            f"The local cloud ended while starting: the disk of {state} is full.",
            hint="Make room, or set CORTEX_HOME to a folder on another disk.",
        )
    lines: list[str] = []
    with suppress(OSError):
        text = (state / OUTPUT_FILE).read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
    if child and child.returncode == REFUSED and lines:
        return LocalCloudError(lines[0], hint=" ".join(lines[1:]) or None)
    last = lines[-1] if lines else "it wrote nothing"
    return LocalCloudError(f"The local cloud ended while starting: {last}", hint=f"See {state / 'daemon.log'}.")
