"""``cortex logs``, by the real executable: followed over replacements of replicas, and left in every way."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

import pytest
import requests

from tests.conftest import CORTEX, ROOT, Cortex
from tests.local.traffic import Traffic
from tests.local.waiting import until

Deploy = Callable[[str], subprocess.CompletedProcess[str]]
Record = dict[str, Any]

PREDICTOR = """
import os

class PythonPredictor:
    def __init__(self, config):
        print("made by", config["by"])
        if config["by"] == "mistake":
            raise ValueError("no such model")

    def predict(self, payload):
        if payload["number"] < 0:
            raise KeyError("negative")
        print("number", payload["number"])
        return {"number": payload["number"]}
"""


@pytest.fixture(scope="module")
def deploy(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Deploys the API ``talker``; returns what the command did."""
    project = tmp_path_factory.mktemp("project")
    (project / "predictor.py").write_text(PREDICTOR)

    def run(by: str) -> subprocess.CompletedProcess[str]:
        predictor = {"type": "python", "path": "predictor.py", "config": {"by": by}, "access_log": 0}
        api = {"name": "talker", "kind": "RealtimeAPI", "predictor": predictor, "compute": {"mem": "200Mi"}}
        (project / "cortex.yaml").write_text(json.dumps([api]))
        return cortex.run("deploy", str(project))

    return run


@pytest.fixture(scope="module")
def endpoint(cortex: Cortex, deploy: Deploy) -> str:
    assert deploy("hand").returncode == 0
    return str(cortex.json("get", "talker")["endpoint"])


JSON = {"Content-Type": "application/json"}


class Follower:
    """``cortex logs`` in a process of its own, writing to a file."""

    def __init__(self, cortex: Cortex, path: Path, *arguments: str) -> None:
        self._path = path
        with path.open("w") as output:
            self.process = subprocess.Popen(
                [CORTEX, "logs", "talker", *arguments], cwd=ROOT, env=cortex.environ, stdout=output, stderr=output
            )

    def text(self) -> str:
        return self._path.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


StartFollower = Callable[..., Follower]


@pytest.fixture
def follower(cortex: Cortex, tmp_path: Path) -> Iterator[StartFollower]:
    started: list[Follower] = []

    def start(*arguments: str) -> Follower:
        started.append(Follower(cortex, tmp_path / f"logs-{len(started)}", *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def predict(cortex: Cortex, number: int) -> subprocess.CompletedProcess[str]:
    return cortex.run("predict", "talker", "-", stdin=json.dumps({"number": number}))


def records_of(follow: Follower) -> list[Record]:
    """The records that were written whole."""
    return [json.loads(line) for line in follow.text().splitlines(keepends=True) if line.endswith("}\n")]


def numbers_in(records: list[Record]) -> list[int]:
    return sorted(int(r["message"].split()[1]) for r in records if r["message"].startswith("number "))


def records(cortex: Cortex, *arguments: str) -> list[Record]:
    """What ``cortex logs`` has now."""
    lines = cortex.ok("logs", "talker", "--no-follow", "-o", "json", *arguments).splitlines()
    return [json.loads(line) for line in lines]


def test_a_line_per_record_with_its_request_and_tracebacks_below_theirs(cortex: Cortex, endpoint: str) -> None:
    answer = requests.post(endpoint, json={"number": 7}, timeout=30)
    assert requests.post(endpoint, json={"number": -1}, timeout=30).status_code == 500
    until(lambda: "KeyError" in cortex.ok("logs", "talker", "--no-follow"))
    lines = cortex.ok("logs", "talker", "--no-follow").splitlines()
    (line,) = [line for line in lines if line.endswith(f" INFO number 7  {answer.headers['X-Request-Id']}")]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{8} INFO", line)
    traceback = next(index for index, line in enumerate(lines) if "KeyError: 'negative'" in line)
    assert lines[traceback].startswith("    "), "a traceback is indented below the record that it is of"
    assert not any("_aws" in line for line in lines)


def test_how_much_is_shown_can_be_chosen(cortex: Cortex, endpoint: str) -> None:
    everything = records(cortex)
    assert len(everything) > 3
    assert [record["time"] for record in everything] == sorted(record["time"] for record in everything)
    assert all({"time", "level", "message", "replica", "revision"} <= record.keys() for record in everything)
    assert records(cortex, "--tail", "2") == everything[-2:]
    assert records(cortex, "--since", "1d") == everything
    assert records(cortex, "--since", "1d", "--tail", "3") == everything[-3:]
    assert records(cortex, "--tail", "0") == []
    time.sleep(2)
    nothing = cortex.run("logs", "talker", "--no-follow", "--since", "1s")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "cortex get talker" in nothing.stderr


def test_records_are_chosen(cortex: Cortex, endpoint: str, follower: StartFollower) -> None:
    follow = follower("--level", "error", "-o", "json")
    quiet = requests.post(endpoint, json={"number": 5}, timeout=30).headers["X-Request-Id"]
    failed = requests.post(endpoint, json={"number": -1}, timeout=30).headers["X-Request-Id"]
    until(lambda: len(records(cortex, "--request-id", failed)) == 1)
    everything = records(cortex)

    def chosen(*arguments: str) -> list[Record]:
        found = records(cortex, *arguments)
        assert found == [record for record in everything if record in found], "all is there, in the same order"
        return found

    assert [record["message"] for record in chosen("--request-id", quiet)] == ["number 5"]
    errors = chosen("--level", "Error")
    assert errors == [record for record in everything if record["level"] == "ERROR"]
    assert numbers_in(chosen("--grep", r"^number [4-6]$")) == [5]
    (record,) = chosen("--level", "warning", "--grep", "KeyError", "--since", "1h", "--request-id", failed)
    assert "KeyError: 'negative'" in record["message"]
    assert chosen("--replica", record["replica"][:6], "--revision", record["revision"][:4]) == everything
    until_then = [record for record in everything if record["time"] <= everything[2]["time"]]
    assert chosen("--until", everything[2]["time"], "--tail", "1") == until_then[-1:]
    nothing = cortex.run("logs", "talker", "--level", "critical", "--since", "1h", "--until", "1s", "-o", "json")
    wider = "no records; there may be some with an earlier --since or a later --until or a lower --level"
    assert (nothing.returncode, nothing.stdout, nothing.stderr.partition("; what")[0]) == (0, "", wider)
    unknown = cortex.run("logs", "talker", "--replica", "beef-", "--replica", "cafe-")
    assert unknown.returncode == 1
    assert "no replica whose id begins with beef- or cafe- has written to the log" in unknown.stderr
    assert f"hint: the only one that did: {record['replica'][:8]} (revision {record['revision']})" in unknown.stderr
    until(lambda: records_of(follow) == errors)


def test_only_what_is_young_enough_is_shown(cortex: Cortex, endpoint: str) -> None:
    time.sleep(6)
    assert predict(cortex, 11).returncode == 0
    until(lambda: numbers_in(records(cortex))[-1:] == [11])
    assert numbers_in(records(cortex, "--since", "5s")) in ([11], []), "or it is older by now"
    assert numbers_in(records(cortex, "--since", "10m"))[-1] == 11


def test_following_begins_with_the_tail_and_is_quick(
    cortex: Cortex, endpoint: str, follower: StartFollower, capsys: pytest.CaptureFixture[str]
) -> None:
    last = records(cortex, "--tail", "2")
    follow = follower("--tail", "2", "-o", "json")
    until(lambda: records_of(follow) == last)
    delays = []

    def is_last(number: int) -> bool:
        return numbers_in(records_of(follow))[-1:] == [number]

    for number in range(100, 105):
        began = time.monotonic()
        requests.post(endpoint, json={"number": number}, timeout=30)
        until(partial(is_last, number), pause=0.02)
        delays.append(time.monotonic() - began)
    with capsys.disabled():
        print(f"\na line is shown {min(delays):.1f} to {max(delays):.1f} s after its request")


def test_no_line_is_lost_or_doubled_while_replicas_are_replaced(
    cortex: Cortex, endpoint: str, deploy: Deploy, follower: StartFollower
) -> None:
    follow = follower("--tail", "0")
    sent = iter(range(1000, 1_000_000))
    first = next(sent)
    until(lambda: predict(cortex, first).returncode == 0 and f"number {first}" in follow.text())
    follow.stop()

    follow = follower("--tail", "0", "-o", "json")
    time.sleep(3)
    numbers: list[int] = []

    class Counting(Traffic):
        def _send_until_stopped(self, url: SplitResult) -> None:
            connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
            while not self._stop.wait(0.02):
                number = next(sent)
                connection.request("POST", url.path, json.dumps({"number": number}), JSON)
                assert json.load(connection.getresponse()) == {"number": number}
                numbers.append(number)
            connection.close()

    with Counting(endpoint, {}, str, clients=1):
        assert deploy("machine").returncode == 0
        until(lambda: len(numbers) > 50)
    # The last words of the old replica may come after the first ones of the new.
    until(lambda: set(numbers) <= set(numbers_in(records_of(follow))))
    assert follow.stop() == 130
    shown = records_of(follow)
    assert [number for number in numbers_in(shown) if number > first] == numbers
    assert len({record["revision"] for record in shown}) == 2
    said = Counter((record["replica"], record["message"].split()[0]) for record in shown)
    old, new = list(dict.fromkeys(record["replica"] for record in shown))
    assert said[new, "made"] == said[new, "ready"] == said[old, "draining"] == said[old, "stopped"] == 1
    assert "Traceback" not in follow.text()


def test_replicas_that_never_became_ready_have_their_say(
    cortex: Cortex, endpoint: str, deploy: Deploy, follower: StartFollower
) -> None:
    """Each of the two that the circuit breaker lets fail, once, whoever reads and whenever."""
    follow = follower("--tail", "0", "-o", "json")
    until(lambda: predict(cortex, 12).returncode == 0 and 12 in numbers_in(records_of(follow)))
    assert deploy("mistake").returncode == 1

    def failed(shown: list[Record]) -> list[Record]:
        return [r for r in shown if r["level"] == "CRITICAL" and r["message"] == "ValueError: no such model"]

    until(lambda: len(failed(records_of(follow))) == 2)
    # What is still to come would come now.
    time.sleep(3)
    for shown in (records_of(follow), records(cortex)):
        replicas = {record["replica"] for record in failed(shown)}
        assert len(failed(shown)) == len(replicas) == 2
        made = [record["replica"] for record in shown if record["message"] == "made by mistake"]
        assert sorted(made) == sorted(replicas)
    pretty = cortex.ok("logs", "talker", "--no-follow")
    assert pretty.count(" CRITICAL ValueError: no such model\n") == 2
    assert "\n    ValueError: no such model\n" in pretty, "with its traceback"


def test_it_ends_when_nobody_reads_any_more(cortex: Cortex, endpoint: str) -> None:
    """Without a new record too: nobody would end the process otherwise."""
    follow = subprocess.Popen(
        [CORTEX, "logs", "talker", "--tail", "5"], env=cortex.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert follow.stdout and follow.stderr
    assert follow.stdout.readline()
    follow.stdout.close()
    assert (follow.wait(15), follow.stderr.read()) == (0, b"")
    follow.stderr.close()


def test_following_ends_with_the_api(cortex: Cortex, endpoint: str, follower: StartFollower) -> None:
    follow = follower("--tail", "1")
    until(lambda: follow.text() != "")
    cortex.json("delete", "talker", "--yes")
    assert follow.process.wait(15) == 0
    assert follow.text().endswith("\ntalker was deleted\n")
