"""How the local cloud grows: what 1, 10, 40 and 100 APIs cost while nobody asks them, and how long commands take then.

    .venv/bin/python benchmarks/growth.py [--apis 1,10,40,100] [--seconds 30]

Deploys tiny predictors with one replica each into a fresh CORTEX_HOME, and prints a row of a Markdown table for each
number: the daemon's share of a core while idle, its memory, that of the router and of the replicas together (shared
pages counted once), the median of `cortex get`, and one more deployment, each with its seconds of computing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from home import Home, is_router

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


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: From its start to its end, which depends on what else the machine does.
        cpu: Seconds of computing, the command's own and the daemon's meanwhile.
    """

    seconds: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.cpu:.1f} s)"


def deploy(home: Home, names: Iterable[str]) -> Cost:
    """Deploy APIs of these names with one command."""
    listed = list(names)
    project = home.project(listed[0], {"predictor.py": PREDICTOR}, [_api(name) for name in listed])
    return cost_of(home, "deploy", str(project))


def cost_of(home: Home, *command: str) -> Cost:
    """Run a command."""
    daemon = home.daemon()
    began, before = time.perf_counter(), _computed(daemon)
    home.run(*command)
    return Cost(time.perf_counter() - began, _computed(daemon) - before)


def _computed(daemon: psutil.Process) -> float:
    own = os.times()
    of_daemon = daemon.cpu_times()
    return own.children_user + own.children_system + of_daemon.user + of_daemon.system


def _api(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "access_log": 0},
        # A hundred of them fit into one core.
        "compute": {"cpu": "9m", "mem": "100Mi"},
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
        deploy(home, (f"api-{number:03}" for number in range(present, count - 1)))
    one_more = deploy(home, [f"api-{count - 1:03}"])
    time.sleep(SETTLE_SECONDS)
    daemon = home.daemon()
    before = daemon.cpu_times()
    time.sleep(seconds)
    after = daemon.cpu_times()
    busy = (after.user + after.system - before.user - before.system) / seconds
    children = daemon.children()
    routers = [child for child in children if is_router(child)]
    replicas = [each for child in children if child not in routers for each in (child, *child.children(recursive=True))]
    shown = sorted((cost_of(home, "get") for _ in range(GETS)), key=lambda cost: cost.seconds)[GETS // 2]
    return (
        str(count),
        f"{busy:.1%}",
        f"{memory([daemon]):.0f} MiB",
        f"{memory(routers):.0f} MiB",
        f"{memory(replicas):.0f} MiB",
        str(shown),
        str(one_more),
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
        home.run("local", "up")
        deploy(home, ["first"])
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
