"""Odd homes, strict umasks, dead proxies, a suspended laptop, a full disk, a read-only home, no IPv6."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import CORTEX, Cortex
from tests.local.waiting import until

LOCAL_SPEED = "20"
DEAD = "http://127.0.0.1:9"
PREDICTOR = (
    "class PythonPredictor:\n"
    "    def __init__(self, config):\n        pass\n"
    "    def predict(self, payload):\n        return payload\n"
)
API = {
    "name": "text",
    "kind": "RealtimeAPI",
    "predictor": {"type": "python", "path": "predictor.py"},
    "autoscaling": {"min_replicas": 2, "max_replicas": 2},
}


@pytest.fixture(scope="module")
def cortex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cortex]:
    """A cortex whose surroundings are odd in every way at once."""
    home = tmp_path_factory.mktemp("home") / "Bücher & 'quotes\" 100% $x"
    elsewhere = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    cortex = Cortex(home)
    cortex.environ.update(CORTEX_LOCAL_SPEED=LOCAL_SPEED, TMPDIR=str(elsewhere), LC_ALL="C", LANG="C")
    # Not for HTTPS, by which an index of packages may have to be reached.
    cortex.environ.update(HTTP_PROXY=DEAD, http_proxy=DEAD)
    before = os.umask(0o077)
    try:
        yield cortex
        stopped = cortex.run("local", "down")
    finally:
        os.umask(before)
        shutil.rmtree(elsewhere, ignore_errors=True)
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def text(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> str:
    project = tmp_path_factory.mktemp("projects") / "Übung 1"
    project.mkdir()
    (project / "predictor.py").write_text(PREDICTOR)
    (project / "cortex.yaml").write_text(json.dumps([API]))
    cortex.ok("deploy", str(project))
    return "text"


def test_an_api_works_where_everything_is_odd(cortex: Cortex, text: str, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"n": 7}')
    assert json.loads(cortex.ok("predict", text, str(request))) == {"n": 7}
    assert cortex.json("get", text)["status"] == "live"
    # Replicas reach the local cloud past the proxy, too: their lines come to the log group.
    until(lambda: "200 POST /text" in cortex.ok("logs", text, "--no-follow"))


def test_a_suspended_laptop_changes_nothing(cortex: Cortex, text: str) -> None:
    before = cortex.replicas(text)
    with stopped(cortex.daemon()):
        # Longer than it takes three health checks to fail.
        time.sleep(5)
    report = cortex.json("get", text)
    assert (report["status"], report["alarms"], report["stopped_replicas"]) == ("live", [], [])
    assert cortex.replicas(text) == before


@contextmanager
def stopped(daemon: psutil.Process) -> Iterator[None]:
    """Stop the local cloud with everything that it runs, as a laptop does that is shut."""
    processes = [daemon, *daemon.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            process.resume()


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="only Linux limits the files of another process")
def test_a_state_that_cannot_be_stored_is_told_until_it_can(cortex: Cortex, text: str) -> None:
    daemon = cortex.daemon()
    _, hard = daemon.rlimit(psutil.RLIMIT_FSIZE)
    daemon.rlimit(psutil.RLIMIT_FSIZE, (1000, hard))
    try:
        cortex.aws("ssm").put_parameter(Name="changed", Value="1", Type="String")
        until(lambda: "the local cloud cannot store its state in" in cortex.run("get").stderr)
    finally:
        daemon.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))
    until(lambda: cortex.run("get").stderr == "")


NO_IPV6 = """
import errno, fcntl, pathlib, socket, struct, subprocess, sys
try:
    with socket.socket(socket.AF_INET) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x49))  # SIOCSIFFLAGS: up, running, loopback
    pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    with socket.socket(socket.AF_INET6) as six:
        six.bind(("::1", 0))
    sys.exit(77)
except PermissionError:
    sys.exit(77)
except OSError as error:
    # Without the module, or without the address.
    if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOENT):
        raise
for command in (["get", "text"], ["predict", "text", sys.argv[2]], ["why", "text"], ["local", "down"]):
    subprocess.run([sys.argv[1], *command], check=True, timeout=240)
"""
"""A program for a network of its own, with nothing but a loopback interface without IPv6. 77: that cannot be had."""


@pytest.mark.skipif(not shutil.which("unshare"), reason="only Linux has networks of their own")
def test_everything_works_without_ipv6(cortex: Cortex, text: str, tmp_path: Path) -> None:
    cortex.ok("local", "down")
    request = tmp_path / "request.json"
    request.write_text('{"n": 7}')
    alone = ["unshare", "--map-root-user", "--net", "--", sys.executable, "-c", NO_IPV6, str(CORTEX), str(request)]
    done = subprocess.run(alone, env=cortex.environ, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode == 77 or "unshare: " in done.stderr:
        pytest.skip(f"a network without IPv6 cannot be had here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert '{"n":7}' in "".join(done.stdout.split()), "replicas that were started without IPv6 answer"


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'
"""Runs a command where a folder is on a read-only file system. 77: that cannot be had."""
NEEDS_NO_STATE = {"validate": "can be deployed", "env list": "local (default)", "local status": "is not running"}
NEEDS_STATE = {
    "get": "The local cloud cannot keep its state in",
    "deploy": "The local cloud cannot keep its state in",
    "local up": "The local cloud cannot keep its state in",
    "env configure prod": "cannot be written",
}


@pytest.mark.skipif(not shutil.which("unshare"), reason="only Linux has file systems of their own")
def test_a_home_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    for folder in (home, project):
        folder.mkdir()
    (project / "predictor.py").write_text(PREDICTOR)
    (project / "cortex.yaml").write_text(json.dumps([API]))
    cortex = Cortex(home)
    alone = ["unshare", "--map-root-user", "--mount", "--", "sh", "-c", READ_ONLY, "sh", str(home), str(CORTEX)]
    for command, said in {**NEEDS_NO_STATE, **NEEDS_STATE}.items():
        done = subprocess.run(
            [*alone, *command.split()],
            cwd=project,
            env=cortex.environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode == 77 or "unshare: " in done.stderr:
            pytest.skip(f"a read-only file system cannot be had here: {done.stderr}")
        assert done.returncode == (command in NEEDS_STATE), (command, done.stderr)
        assert said in done.stdout + done.stderr, (command, done.stderr)
        assert (str(home) in done.stderr and "CORTEX_HOME" in done.stderr) == (command in NEEDS_STATE), done.stderr
    assert not [*home.iterdir()]
