"""What a replica uses: by its control group where that is its own, by its processes elsewhere; GPUs by the driver."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex_serving.metrics.usage import GpuReader, UsageMeter, find_source
from tests.conftest import eventually

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
MIB = 2**20
EATER = """
import time
held = bytearray(b"x" * (100 * 2**20))
while time.process_time() < 0.5:
    pass
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is neither our ancestor nor our descendant: a child of nobody here."""
    code = "import subprocess as s; print(s.Popen(['sleep', '60'], stdout=s.DEVNULL).pid)"
    # It would hold a pipe for stderr open, and be waited for until it ends.
    pid = int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)
    yield pid
    os.kill(pid, 9)


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(str(content))


def cgroup_v2(folder: Path, *members: int) -> None:
    write(
        folder,
        cgroup__procs="\n".join(map(str, members)),
        memory__current=300 * MIB,
        memory__stat=f"anon {200 * MIB}\nfile {90 * MIB}\ninactive_file {60 * MIB}",
        cpu__stat="usage_usec 2500000\nuser_usec 2000000",
    )


@LINUX
def test_the_own_control_group_counts(tmp_path: Path) -> None:
    cgroup_v2(tmp_path, os.getpid(), os.getppid())
    source = find_source(tmp_path)
    assert source.memory_bytes() == 240 * MIB, "page cache that the kernel can take back is not used"
    assert source.cpu_seconds() == 2.5


@LINUX
def test_the_own_control_groups_of_the_first_kind_count(tmp_path: Path) -> None:
    write(
        tmp_path / "memory",
        cgroup__procs=os.getpid(),
        memory__usage_in_bytes=300 * MIB,
        memory__stat=f"total_inactive_file {60 * MIB}",
    )
    write(tmp_path / "cpuacct", cgroup__procs=os.getpid(), cpuacct__usage=2_500_000_000)
    source = find_source(tmp_path)
    assert (source.memory_bytes(), source.cpu_seconds()) == (240 * MIB, 2.5)


@LINUX
def test_a_control_group_that_others_share_does_not_count(tmp_path: Path, stranger: int) -> None:
    cgroup_v2(tmp_path, os.getpid(), stranger)
    assert find_source(tmp_path).memory_bytes() != 240 * MIB


@LINUX
def test_processes_are_added_up(tmp_path: Path) -> None:
    source = find_source(tmp_path)
    memory, cpu = source.memory_bytes(), source.cpu_seconds()
    # A child of a child.
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {EATER!r}])"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert child.stdout
        child.stdout.readline()
        assert source.memory_bytes() - memory > 100 * MIB
        assert source.cpu_seconds() - cpu > 0.4
    finally:
        os.killpg(child.pid, 9)
        child.communicate()
    eventually(lambda: source.memory_bytes() - memory < 100 * MIB)


@LINUX
def test_a_reading_is_of_the_time_since_the_last_one() -> None:
    meter = UsageMeter()
    deadline = time.process_time() + 0.2
    while time.process_time() < deadline:
        pass
    used = meter.read()
    assert used["memory_bytes"] > MIB
    assert used["cpu"] > 0
    assert meter.read()["gpus"] == []


def driver(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    driver(tmp_path, 'case "$*" in *"-i 1,3") echo "35, 4198, 24576"; echo "[N/A], 0, 24576";; esac', monkeypatch)
    assert GpuReader().read() == [
        {"percent": 35, "memory_bytes": 4198 * MIB, "memory_total_bytes": 24576 * MIB},
        {"memory_bytes": 0, "memory_total_bytes": 24576 * MIB},
    ]


def test_a_driver_that_fails_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver(tmp_path, f"echo asked >> {tmp_path}/log; exit 9", monkeypatch)
    reader = GpuReader()
    assert (reader.read(), reader.read()) == ([], [])
    assert (tmp_path / "log").read_text() == "asked\n"


def test_a_replica_without_gpus_asks_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    driver(tmp_path, 'echo "35, 4198, 24576"', monkeypatch)
    assert GpuReader().read() == []
