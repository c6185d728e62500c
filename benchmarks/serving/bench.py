"""Compare the serving program with its peers: one worker process pinned to one core, ``wrk`` on the other.

    python benchmarks/serving/bench.py [--workloads w1,w3] [--servers 'cortex*;mosec'] [--rounds 3] [--seconds 4]
                                       [--before ANOTHER_CHECKOUT]

Every peer gets an environment of its own below ``.peers/`` (needs ``uv``). The servers of a workload are all started
first; then each round measures one after the other, so that whatever else the machine does hits all of them alike. The
table shows medians over the rounds, and the CPU time of the server's processes per request, which suffers less from a
busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fnmatch
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from servers import HERE, PEERS, SERVERS, Server, before

CONNECTIONS = {"w1": 16, "w2": 16, "w3": 64, "w4json": 16, "w4bytes": 16}
SCRIPTS = {"w1": "small.lua", "w2": "small.lua", "w3": "small.lua", "w4json": "floats.lua", "w4bytes": "bytes.lua"}
START_SECONDS = 120.0
# The first request of each script, and what every answer to it must hold
FIRST = {
    "small.lua": b'{"values": [5.1, 3.5, 1.4, 0.2]}',
    "row.lua": b'{"values": [[5.1, 3.5, 1.4, 0.2]]}',
    "tensor.lua": b'{"inputs": [{"name": "values", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}',  # noqa: E501
    "floats.lua": b"[1.5, 2.5, 3.5]",
    "bytes.lua": b"xxx",
}
EXPECTED = {"w1": b"10.2", "w2": b"setosa", "w3": b"10.2", "w4json": b"3", "w4bytes": b"3"}
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Measured:
    """Results of one server in one workload, a value per round."""

    rps: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0.0
    started: float = 0.0


class Running:
    """A started server."""

    def __init__(self, server: Server, workload: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.server = server
        path, self.script = server.special.get(workload, (server.path, SCRIPTS[workload]))
        self.url = f"http://{self.address}{path}"
        python_path = os.pathsep.join(map(str, (*server.python_path, PEERS)))
        environ = {**os.environ, **server.environ, "WORKLOAD": workload, "PYTHONPATH": python_path}
        command = ["taskset", "-c", "0", *server.command(environment(server), self.address)]
        begin = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=keep_orphans,  # noqa: PLW1509 - there are no threads here
        )
        self.measured = Measured()
        try:
            self._wait(EXPECTED[workload])
        except RuntimeError:
            self.stop()
            raise
        self.measured.started = time.monotonic() - begin

    def _wait(self, expected: bytes) -> None:
        kind = "application/octet-stream" if self.script == "bytes.lua" else "application/json"
        request = urllib.request.Request(self.url, FIRST[self.script], {"Content-Type": kind})
        deadline = time.monotonic() + START_SECONDS
        answer = b""
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as response:
                answer = response.read()
                if expected in answer:
                    return
                break
            time.sleep(0.02)
        raise RuntimeError(f"no right answer within {START_SECONDS:.0f} s{f', but {answer[:200]!r}' if answer else ''}")

    def pids(self) -> list[int]:
        """Its processes: the whole tree, in whatever session they are."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = int(_stat(int(entry.name))[1])
                children.setdefault(parent, []).append(int(entry.name))
        found, todo = [], [self.process.pid]
        while todo:
            found.append(todo.pop())
            todo += children.get(found[-1], [])
        return found

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far, of those that have ended too."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                ticks += sum(int(value) for value in _stat(pid)[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Resident memory of all its processes."""
        pages = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        """End all its processes."""
        born = {pid: _born(pid) for pid in self.pids()}
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        for pid, when in born.items():
            if when is not None and _born(pid) == when:  # not another process that got its number
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


def keep_orphans() -> None:
    """Make the calling process the parent of every orphan below it, so that its tree stays whole."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/PID/stat`` from the third on (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _born(pid: int) -> str | None:
    try:
        return _stat(pid)[19]
    except OSError:
        return None


def environment(server: Server) -> Path:
    """The ``bin`` folder of a server's own environment, made on first use."""
    if not server.packages:
        return Path(sys.executable).parent
    folder = HERE / ".peers" / re.sub(r"\W+", "-", "-".join(server.packages))
    if not (folder / ".ready").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "--clear", str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--python", str(folder / "bin" / "python"), *server.packages], check=True)
        (folder / ".ready").touch()
    return folder / "bin"


def measure(running: Running, workload: str, seconds: int) -> None:
    """One round of one server."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS[workload]}", f"-d{seconds}", "--latency"]
    before = running.cpu_seconds()
    output = subprocess.run(
        [*command, "-s", str(HERE / running.script), running.url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"{running.server.name} failed requests:\n{output}")
    count = int(re.findall(r"(\d+) requests in", output)[0])
    value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", output)[0]
    measured = running.measured
    measured.rps.append(float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0]))
    measured.p99.append(float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit])
    measured.cpu.append((running.cpu_seconds() - before) / max(1, count) * 1e6)


def table(workload: str, all_running: list[Running]) -> str:
    """The results as Markdown."""
    rows = [
        f"### {workload}, {CONNECTIONS[workload]} connections",
        "",
        "| Server | requests/s | p99 ms | CPU us/request | memory MiB | first answer s |",
        "|---|---|---|---|---|---|",
    ]
    for running in sorted(all_running, key=lambda running: -statistics.median(running.measured.rps)):
        m = running.measured
        values = (statistics.median(m.rps), statistics.median(m.p99), statistics.median(m.cpu), m.memory, m.started)
        rows.append(
            f"| {running.server.name} | " + " | ".join(f"{v:,.0f}" if v > 99 else f"{v:.2f}" for v in values) + " |"
        )
    return "\n".join(rows)


def run(workload: str, servers: list[Server], rounds: int, seconds: int) -> str:
    """Measure a workload."""
    with contextlib.ExitStack() as stack:
        all_running = []
        for server in servers:
            try:
                running = Running(server, workload)
            except (RuntimeError, subprocess.CalledProcessError, OSError) as error:
                print(f"{server.name} is left out: {error}", file=sys.stderr)
                continue
            stack.callback(running.stop)
            all_running.append(running)
        for running in list(all_running):
            running.measured.memory = running.memory_mib()
            try:
                measure(running, workload, 1)
            except RuntimeError as error:
                print(f"{running.server.name} is left out: {error}", file=sys.stderr)
                all_running.remove(running)
            running.measured = Measured(memory=running.measured.memory, started=running.measured.started)
        for _ in range(rounds):
            for running in all_running:
                measure(running, workload, seconds)
        return table(workload, all_running)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default=",".join(CONNECTIONS))
    parser.add_argument("--servers", help="names with wildcards, separated by semicolons; default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--before", type=Path, help="another checkout, whose serving program takes part, too")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped then, too
    wanted = arguments.servers.split(";") if arguments.servers else ["*"]
    for workload in arguments.workloads.split(","):
        known = (*SERVERS, *before(arguments.before)) if arguments.before else SERVERS
        taking_part = [server for server in known if workload in server.workloads]
        servers = [s for s in taking_part if any(fnmatch.fnmatchcase(s.name, pattern) for pattern in wanted)]
        print(run(workload, servers, arguments.rounds, arguments.seconds), flush=True)
        print()


if __name__ == "__main__":
    main()
