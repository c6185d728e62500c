"""A day's use in hours: whether memory, descriptors, threads and connections stay flat, and no log line gets lost.

    .venv/bin/python benchmarks/soak.py [--minutes 120] [--rate 20] [--deploy-every 300]

Deploys two APIs into a fresh CORTEX_HOME, and sends JSON, streams, batches, requests that fail on purpose (1 %), and
requests of clients that leave before the answer. The APIs are deployed anew every five minutes meanwhile. Prints a
Markdown table, and what went wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psutil
from home import Home, is_router

MIB = 1024 * 1024
CLIENTS = 4
FAILS_EVERY, LEAVES_EVERY, STREAMS_EVERY, BATCHES_EVERY = 100, 20, 5, 3
PIECES = 20
SETTLE_SECONDS = 30.0
"""After the start, before the first measurement: imports, first log streams and caches grow until then."""
LAST_LINES_SECONDS = 30.0
"""Within that, the last log lines must have been stored."""
LINE = "soak-line-"
PREDICTOR = f"""
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        print(f"{LINE}{{payload['line']}}", flush=True)
        if payload.get("fails"):
            raise ValueError("as asked")
        if "pieces" in payload:
            return (f"{{number}}\\n" for number in range(payload["pieces"]))
        return payload
"""
BATCH_PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return [{"n": item["n"] * 2} for item in payload]
"""


def apis(generation: int) -> list[dict[str, Any]]:
    """Return the configuration of a generation: each deployment replaces all replicas."""
    common = {"type": "python", "access_log": 0, "env": {"GENERATION": str(generation)}}
    batching = {"server_side_batching": {"max_batch_size": 8, "batch_interval": "20ms"}}
    threads = {"threads_per_process": 8}
    shared = {"kind": "RealtimeAPI", "compute": {"cpu": "50m", "mem": "256Mi"}, "autoscaling": {"max_replicas": 1}}
    return [
        {"name": "soak", "predictor": {**common, **threads, "path": "predictor.py"}, **shared},
        {"name": "batches", "predictor": {**common, **batching, "path": "batches.py"}, **shared},
    ]


@dataclass(frozen=True)
class Look:
    """What one kind of process has at a moment."""

    at: float
    memory: float
    descriptors: int
    threads: int
    connections: int

    @classmethod
    def at_processes(cls, processes: Iterable[psutil.Process]) -> Look:
        """Look at processes together. One that ends meanwhile is left out."""
        sums: Counter[str] = Counter()
        for process in processes:
            with contextlib.suppress(psutil.Error), process.oneshot():
                sums["memory"] += process.memory_full_info().uss
                sums["descriptors"] += process.num_fds()
                sums["threads"] += process.num_threads()
                sums["connections"] += len(process.net_connections("tcp"))
        return cls(time.monotonic(), sums["memory"] / MIB, sums["descriptors"], sums["threads"], sums["connections"])


@dataclass
class Sent:
    """What clients have sent and got."""

    lines: set[int] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    surprises: Counter[str] = field(default_factory=Counter)


class Clients:
    """Threads that send requests at a rate.

    Args:
        host: Address and port of the load balancer.
        rate: Requests a second, of all of them together.
    """

    def __init__(self, host: str, rate: float) -> None:
        self.sent = Sent()
        self._host = host
        self._pause = CLIENTS / rate
        self._numbers = itertools.count(1)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, and wait for the last answers."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        while not self._ended.wait(self._pause):
            number = next(self._numbers)
            try:
                if number % LEAVES_EVERY == 0:
                    self._leave(number)
                else:
                    self._ask(connection, number)
            except (OSError, http.client.HTTPException) as error:
                self.sent.surprises[type(error).__name__] += 1
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection, number: int) -> None:
        kind, path, body, expected = _request(number)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        self.sent.answers[kind] += 1
        if answer.status != expected:
            self.sent.surprises[f"{kind}: {answer.status} {content[:80]!r}"] += 1
        elif "line" in body:
            self.sent.lines.add(number)

    def _leave(self, number: int) -> None:
        """Leave after half of the body, or without reading the answer."""
        body = json.dumps({"n": number}).encode()
        head = (
            f"POST /batches HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        address, _, port = self._host.rpartition(":")
        with socket.create_connection((address, int(port)), timeout=60) as connection:
            connection.sendall(head.encode() + (body if number % (2 * LEAVES_EVERY) else body[:3]))
        self.sent.answers["left"] += 1


def _request(number: int) -> tuple[str, str, dict[str, Any], int]:
    """Return a request: its kind, path, body, and the status that it must get."""
    if number % FAILS_EVERY == 1:
        return "fails", "/soak", {"line": number, "fails": True}, http.HTTPStatus.INTERNAL_SERVER_ERROR
    if number % STREAMS_EVERY == 0:
        return "stream", "/soak", {"line": number, "pieces": PIECES}, http.HTTPStatus.OK
    if number % BATCHES_EVERY == 0:
        return "batch", "/batches", {"n": number}, http.HTTPStatus.OK
    return "json", "/soak", {"line": number, "text": "x" * 200}, http.HTTPStatus.OK


class StoredLines:
    """The log lines of the replicas, read again and again: the local cloud keeps the newest of each stream only.

    Args:
        endpoint: The AWS API.
    """

    def __init__(self, endpoint: str) -> None:
        self._logs = boto3.client(
            "logs",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        self._since = 0
        self.counts: Counter[int] = Counter()
        self._seen: set[str] = set()

    def read(self) -> None:
        """Read what came since the last time, and a minute more: lines come late."""
        now = int(time.time() * 1000)
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName="/cortex/local/soak", filterPattern=f'"{LINE}"', startTime=max(0, self._since - 60_000)
        )
        for event in (event for page in pages for event in page["events"]):
            if event["eventId"] not in self._seen:
                self._seen.add(event["eventId"])
                self.counts[int(event["message"].partition(LINE)[2].split('"')[0])] += 1
        self._since = now


def slope(looks: Sequence[Look]) -> float:
    """Return how many MiB an hour the memory grows by (least squares). The first half warms up."""
    looks = looks[len(looks) // 2 :]
    if len({look.at for look in looks}) < 2:
        return 0.0
    fit = statistics.linear_regression([look.at / 3600 for look in looks], [look.memory for look in looks])
    return float(fit.slope)


class Soak:
    """One run.

    Args:
        home: A fresh home.
        rate: Requests a second.
        deploy_every: Seconds between deployments.
    """

    def __init__(self, home: Home, rate: float, deploy_every: float) -> None:
        self._home = home
        self._deploy_every = deploy_every
        self.generation = 0
        self.looks: dict[str, list[Look]] = {"daemon": [], "router": []}
        self.of_replicas: list[list[Look]] = []
        self.deploy()
        status = home.status()
        self._daemon = psutil.Process(status["pid"])
        endpoint = json.loads(home.run("get", "soak", "-o", "json"))["endpoint"]
        self.lines = StoredLines(status["aws_url"])
        self.clients = Clients(urlsplit(endpoint).netloc, rate)

    def deploy(self) -> None:
        """Replace all replicas by those of the next generation."""
        self.generation += 1
        files = {"predictor.py": PREDICTOR, "batches.py": BATCH_PREDICTOR}
        self._home.run("deploy", str(self._home.project("soak", files, apis(self.generation))))
        self.of_replicas.append([])

    def run(self, seconds: float, look_every: float) -> None:
        """Send requests for that long, deploy and look meanwhile."""
        self.clients.start()
        time.sleep(SETTLE_SECONDS)
        ends = time.monotonic() + seconds
        deploys = time.monotonic() + self._deploy_every
        while time.monotonic() < ends:
            self._look()
            self.lines.read()
            if time.monotonic() >= deploys:
                self.deploy()
                memory = ", ".join(f"{name} {looks[-1].memory:.1f} MiB" for name, looks in self.looks.items())
                print(f"generation {self.generation}: {memory}", file=sys.stderr, flush=True)
                deploys += self._deploy_every
            time.sleep(look_every)
        self.clients.stop()
        self._wait_for_lines()

    def _look(self) -> None:
        children = self._daemon.children()
        routers = [child for child in children if is_router(child)]
        replicas = [each for child in children if child not in routers for each in _tree(child)]
        self.looks["daemon"].append(Look.at_processes([self._daemon]))
        self.looks["router"].append(Look.at_processes(routers))
        self.of_replicas[-1].append(Look.at_processes(replicas))

    def _wait_for_lines(self) -> None:
        ends = time.monotonic() + LAST_LINES_SECONDS
        while time.monotonic() < ends and self.clients.sent.lines - self.lines.counts.keys():
            time.sleep(1)
            self.lines.read()

    def report(self) -> str:
        """Return the table, and what was lost."""
        rows = [_row(name, looks, slope(looks)) for name, looks in self.looks.items()]
        whole = [looks for looks in self.of_replicas if len(looks) > 2]
        if whole:
            slopes = [slope(looks) for looks in whole]
            rows.append(_row("replicas", [look for looks in whole for look in looks], statistics.median(slopes)))
        sent, counts = self.clients.sent, self.lines.counts
        lost, twice = sent.lines - counts.keys(), [line for line, count in counts.items() if count > 1]
        return "\n".join(
            [
                "| | memory first | memory last | slope of the second half | descriptors | threads | connections |",
                "|---|---|---|---|---|---|---|",
                *rows,
                "",
                f"deployments: {self.generation}; requests: {_listed(sent.answers)}",
                f"answers that nobody expected: {_listed(sent.surprises) or 'none'}",
                f"log lines: {len(sent.lines)} sent, {len(lost)} lost, {len(twice)} stored twice",
            ]
        )


def _tree(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return []


def _row(name: str, looks: Sequence[Look], growth: float) -> str:
    def span(of: Callable[[Look], int]) -> str:
        values = [of(look) for look in looks]
        return f"{values[0]} → {values[-1]} (most {max(values)})"

    cells = (
        name,
        f"{looks[0].memory:.1f} MiB",
        f"{looks[-1].memory:.1f} MiB",
        f"{growth:+.1f} MiB/h",
        span(lambda look: look.descriptors),
        span(lambda look: look.threads),
        span(lambda look: look.connections),
    )
    return f"| {' | '.join(cells)} |"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def main() -> None:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120.0, help="how long (default: 120)")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second (default: 20)")
    parser.add_argument("--deploy-every", type=float, default=300.0, help="seconds between deployments (default: 300)")
    parser.add_argument("--look-every", type=float, default=15.0, help="seconds between two looks (default: 15)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cortex-soak-"))
    home = Home(folder)
    try:
        soak = Soak(home, options.rate, options.deploy_every)
        soak.run(options.minutes * 60, options.look_every)
        print(soak.report())
    finally:
        home.run("local", "down")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
