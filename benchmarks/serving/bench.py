"""Compare the serving program with its peers: one worker process pinned to one core, ``wrk`` on the other.

    python benchmarks/serving/bench.py [--workloads w1,w3] [--servers 'cortex*;mosec'] [--rounds 3] [--seconds 4]

Every peer gets an environment of its own below ``.peers/`` (needs ``uv``). The servers of a workload are all started
first; then each round measures one after the other, so that whatever else the machine does hits all of them alike. The
table shows medians over the rounds, and the CPU time of the server's processes per request, which suffers less from a
busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
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

from servers import HERE, PEERS, SERVERS, Server

CONNECTIONS = {"w1": 16, "w2": 16, "w3": 64, "w4json": 16, "w4bytes": 16}
SCRIPTS = {"w1": "small.lua", "w2": "small.lua", "w3": "small.lua", "w4json": "floats.lua", "w4bytes": "bytes.lua"}
START_SECONDS = 60.0


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
        environ = {**os.environ, **server.environ, "WORKLOAD": workload, "PYTHONPATH": str(PEERS)}
        command = ["taskset", "-c", "0", *server.command(environment(server), self.address)]
        begin = time.monotonic()
        self.process = subprocess.Popen(
            command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self.measured = Measured()
        self._wait(SCRIPTS[workload])
        self.measured.started = time.monotonic() - begin

    def _wait(self, script: str) -> None:
        body = b"x" if script == "bytes.lua" else b"[1]" if script == "floats.lua" else b'{"values": [1, 2, 3, 4]}'
        kind = "application/octet-stream" if script == "bytes.lua" else "application/json"
        request = urllib.request.Request(f"http://{self.address}{self.server.path}", body, {"Content-Type": kind})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.server.name} did not answer within {START_SECONDS} s")

    def pids(self) -> list[int]:
        """Its processes: those of its session."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[3]) == self.process.pid:
                    found.append(int(entry.name))
        return found

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far."""
        total = 0
        for pid in self.pids():
            for schedule in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    total += int(schedule.read_text().split()[0])
        return total / 1e9

    def memory_mib(self) -> float:
        """Resident memory of all its processes."""
        pages = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        """End all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


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
        [*command, "-s", str(HERE / SCRIPTS[workload]), f"http://{running.address}{running.server.path}"],
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
        for running in all_running:
            running.measured.memory = running.memory_mib()
            measure(running, workload, 1)
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
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped then, too
    wanted = arguments.servers.split(";") if arguments.servers else ["*"]
    for workload in arguments.workloads.split(","):
        taking_part = [server for server in SERVERS if workload in server.workloads]
        servers = [s for s in taking_part if any(fnmatch.fnmatchcase(s.name, pattern) for pattern in wanted)]
        print(run(workload, servers, arguments.rounds, arguments.seconds), flush=True)
        print()


if __name__ == "__main__":
    main()
