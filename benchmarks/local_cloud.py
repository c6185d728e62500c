"""What the local cloud costs: its memory, and the time that its load balancer adds to a request.

    .venv/bin/python benchmarks/local_cloud.py [--rounds N]

Deploys an echo predictor into a fresh CORTEX_HOME. The latency rounds alternate between the replica itself and the
load balancer in front of it, with 16 connections each. Needs `wrk` (apt-get install wrk).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

import boto3
import psutil

CORTEX = Path(sys.executable).parent / "cortex"
CONNECTIONS = 16
SECONDS = 5
PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""
CONFIG = """
- name: echo
  kind: RealtimeAPI
  predictor: {type: python, path: predictor.py, access_log: 0}
  autoscaling: {max_replicas: 1}
"""
REQUEST = 'wrk.method = "POST"; wrk.body = \'{"n": 7}\'; wrk.headers["Content-Type"] = "application/json"'
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Home:
    """A fresh home with the echo API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environ = {
            **os.environ,
            "CORTEX_HOME": str(folder / "home"),
            "CORTEX_LOCAL_PORT": "0",
            "CORTEX_LOCAL_HTTP_PORT": "0",
            "CORTEX_LOCAL_HTTPS_PORT": "0",
        }
        project = folder / "echo"
        project.mkdir()
        (project / "predictor.py").write_text(PREDICTOR)
        (project / "cortex.yaml").write_text(CONFIG)
        (folder / "post.lua").write_text(REQUEST)
        self.cortex("deploy", str(project))

    def cortex(self, *arguments: str) -> str:
        """Run a command that must succeed."""
        return subprocess.run(
            [CORTEX, *arguments], env=self._environ, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def endpoints(self) -> tuple[str, str]:
        """The API through the load balancer, and the replica itself."""
        routed: str = json.loads(self.cortex("get", "echo", "-o", "json"))["endpoint"]
        status = self.cortex("local", "status")
        control = next(line.split()[-1] for line in status.splitlines() if line.startswith("AWS API"))
        elbv2 = boto3.client(
            "elbv2",
            endpoint_url=control,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        group = elbv2.describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
        target = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"][0]["Target"]
        return routed, f"http://127.0.0.1:{target['Port']}{urllib.parse.urlsplit(routed).path}"

    def memory(self) -> dict[str, float]:
        """Proportional memory in MiB by part: pages that processes share are counted once."""
        line = self.cortex("local", "status").splitlines()[0]
        daemon = psutil.Process(int(line.split("process ")[1].rstrip(")")))
        parts = {"daemon": mib(daemon), "load balancer": 0.0, "replica": 0.0}
        for child in daemon.children():
            part = "load balancer" if "envoy" in child.name() else "replica"
            parts[part] += sum(mib(process) for process in (child, *child.children(recursive=True)))
        return parts


def mib(process: psutil.Process) -> float:
    """Proportional set size of a process."""
    return float(process.memory_full_info().pss) / 2**20


def p50(url: str, script: Path) -> float:
    """Median latency in milliseconds under wrk."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(script), url],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found = re.search(r"50%\s+([\d.]+)(us|ms|s)", done)
    assert found and "Non-2xx" not in done, done
    return float(found[1]) * UNITS[found[2]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        try:
            memory = home.memory()
            routed, direct = home.endpoints()
            script = home.folder / "post.lua"
            pairs = [(p50(direct, script), p50(routed, script)) for _ in range(rounds)]
        finally:
            home.cortex("local", "down")
    for part, size in memory.items():
        print(f"{part:16} {size:7.0f} MiB")
    print(f"{'together':16} {sum(memory.values()):7.0f} MiB (target: less than 400)\n")
    through, itself = (statistics.median(pair[side] for pair in pairs) for side in (1, 0))
    print(
        f"p50 at {CONNECTIONS} connections: replica itself {itself:.2f} ms, through the load balancer {through:.2f} ms"
    )
    print(f"added: {through - itself:.2f} ms (target: at most 1.0)")


if __name__ == "__main__":
    main()
