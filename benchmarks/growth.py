"""How the local cloud grows: what 1, 10, 40 and 100 APIs cost while nobody asks them, and how long commands take then.

    .venv/bin/python benchmarks/growth.py [--apis 1,10,40,100] [--seconds 30]

Deploys tiny predictors with one replica each into a fresh CORTEX_HOME, and prints a row of a Markdown table for each
number: the daemon's share of a core while idle, its memory, that of the router and of the replicas together (shared
pages counted once), the median of `cortex get`, and one more deployment.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

CORTEX = Path(sys.executable).parent / "cortex"
MIB = 1024 * 1024
GETS = 3
SETTLE_SECONDS = 20.0
"""What a deployment has started, such as new log streams, ends within that."""
PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""
COLUMNS = ("APIs", "daemon, idle", "daemon", "router", "replicas", "cortex get", "one more deployment")


class Home:
    """A fresh home with a local cloud."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = dict.fromkeys(("CORTEX_LOCAL_PORT", "CORTEX_LOCAL_HTTP_PORT", "CORTEX_LOCAL_HTTPS_PORT"), "0")
        self._environ = {**os.environ, "CORTEX_HOME": str(folder / "home"), **ports}

    def run(self, *arguments: str) -> tuple[float, str]:
        """Run a command that must succeed; return its seconds and its output."""
        began = time.perf_counter()
        done = subprocess.run(
            [CORTEX, *arguments], env=self._environ, capture_output=True, text=True, check=False, timeout=1200
        )
        if done.returncode:
            raise SystemExit(f"cortex {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return time.perf_counter() - began, done.stdout

    def deploy(self, names: Iterable[str]) -> float:
        """Deploy APIs of these names with one command; return its seconds."""
        listed = list(names)
        project = self._folder / listed[0]
        project.mkdir()
        (project / "predictor.py").write_text(PREDICTOR)
        (project / "cortex.yaml").write_text(json.dumps([_api(name) for name in listed]))
        return self.run("deploy", str(project))[0]

    def daemon(self) -> psutil.Process:
        """The process of the local cloud."""
        return psutil.Process(json.loads(self.run("local", "status", "-o", "json")[1])["pid"])


def _api(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "access_log": 0},
        "compute": {"cpu": "20m", "mem": "100Mi"},
        "autoscaling": {"max_replicas": 1},
    }


def memory(processes: Iterable[psutil.Process]) -> float:
    """Return the MiB of processes; pages that several share are counted once."""
    return sum(process.memory_full_info().pss for process in processes) / MIB


def measure(home: Home, count: int, present: int, seconds: float) -> tuple[str, ...]:
    """Bring the number of APIs up, and measure.

    Args:
        home: The home.
        count: How many APIs there are to be.
        present: How many there are.
        seconds: How long to look at the idle daemon.

    Returns:
        The cells of a row.
    """
    # The last one by itself, as somebody would who has all the others.
    if count - present > 1:
        home.deploy(f"api-{number:03}" for number in range(present, count - 1))
    one_more = home.deploy([f"api-{count - 1:03}"])
    time.sleep(SETTLE_SECONDS)
    daemon = home.daemon()
    before = daemon.cpu_times()
    time.sleep(seconds)
    after = daemon.cpu_times()
    busy = (after.user + after.system - before.user - before.system) / seconds
    children = daemon.children()
    routers = [child for child in children if "envoy" in child.name()]
    replicas = [each for child in children if child not in routers for each in (child, *child.children(recursive=True))]
    shown = statistics.median(home.run("get")[0] for _ in range(GETS))
    return (
        str(count),
        f"{busy:.1%}",
        f"{memory([daemon]):.0f} MiB",
        f"{memory(routers):.0f} MiB",
        f"{memory(replicas):.0f} MiB",
        f"{shown:.1f} s",
        f"{one_more:.1f} s",
    )


def main() -> None:
    """Measure, and print the table row by row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--apis", default="1,10,40,100", help="numbers of APIs, growing (default: 1,10,40,100)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to look at the idle daemon (default: 30)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cortex-growth-"))
    home = Home(folder)
    try:
        home.deploy(["first"])
        print("|", " | ".join(COLUMNS), "|")
        print("|", "---|" * len(COLUMNS), sep="")
        present = 0
        for count in map(int, options.apis.split(",")):
            print("|", " | ".join(measure(home, count, present, options.seconds)), "|", flush=True)
            present = count
    finally:
        home.run("local", "down")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
