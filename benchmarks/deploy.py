"""How long a user waits: from the command to the first correct answer, side by side in one run.

    .venv/bin/python benchmarks/deploy.py [--rounds N]

Every round uses a fresh CORTEX_HOME and free ports; the table shows the median and the worst of the rounds.
Dependencies are installed before; nothing else is warmed up.
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
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORTEX = Path(sys.executable).parent / "cortex"
TARGETS = {
    "first deploy, local cloud not running": 15.0,
    "deploy, local cloud running": 6.0,
    "code change, until only new code answers": 4.0,
    "cortex dev: a save, until it answers": 2.0,
    "cortex get": 1.0,
    "cortex --help": 0.3,
}


class Round:
    """One fresh home, and the commands that are timed in it."""

    def __init__(self, folder: Path) -> None:
        self.project = shutil.copytree(ROOT / "examples/iris-classifier", folder / "iris")
        self._environ = {
            **os.environ,
            "CORTEX_HOME": str(folder / "home"),
            "CORTEX_LOCAL_PORT": "0",
            "CORTEX_LOCAL_HTTP_PORT": "0",
            "CORTEX_LOCAL_HTTPS_PORT": "0",
        }

    def cortex(self, *arguments: str) -> str:
        """Run a command that must succeed."""
        return subprocess.run(
            [CORTEX, *arguments],
            env=self._environ,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ).stdout

    def develop(self, numbers: Sequence[int]) -> list[float]:
        """Save the code several times while ``cortex dev`` runs; return the seconds that it says each save took."""
        command = [str(CORTEX), "dev", str(self.project), "-o", "json"]
        process = subprocess.Popen(
            command, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert process.stdout
            answers = (event for event in map(json.loads, process.stdout) if event["event"] in ("live", "answer"))
            taken = []
            for number in (None, *numbers):
                if number is not None:
                    time.sleep(3)  # as long as a thought, and until the replica before has gone
                    self.change_code(number)
                seconds = next(event for event in answers if event["event"] == "live")["seconds"]
                answer = next(event for event in answers if event["event"] == "answer")["answer"]
                if number is not None:
                    assert json.loads(answer)["code"] == number
                    taken.append(float(seconds))
            return taken
        finally:
            process.kill()
            process.wait()

    def predict(self) -> dict[str, object]:
        """Send the sample straight to the endpoint."""
        endpoint = json.loads(self.cortex("get", "iris-classifier", "-o", "json"))["endpoint"]
        body = (self.project / "sample.json").read_bytes()
        request = urllib.request.Request(endpoint, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            prediction: dict[str, object] = json.load(answer)
        assert prediction["species"] == "setosa"
        return prediction

    def change_code(self, number: int) -> None:
        """Make the predictor's answers tell the code's version."""
        path = self.project / "predictor.py"
        path.write_text(path.read_text().replace('"species":', f'"code": {number}, "species":', 1))


@contextmanager
def timed(times: dict[str, list[float]], name: str) -> Iterator[None]:
    """Add the block's wall-clock seconds to ``times[name]``."""
    start = time.perf_counter()
    yield
    times[name].append(time.perf_counter() - start)


def measure(times: dict[str, list[float]]) -> None:
    """One round of everything."""
    with tempfile.TemporaryDirectory() as folder:
        round_ = Round(Path(folder))
        try:
            with timed(times, "first deploy, local cloud not running"):
                round_.cortex("deploy", str(round_.project))
                round_.predict()
            with timed(times, "code change, until only new code answers"):
                round_.change_code(2)
                round_.cortex("deploy", str(round_.project))
                assert round_.predict()["code"] == 2
            times["cortex dev: a save, until it answers"] += round_.develop((3, 4, 5))
            with timed(times, "cortex get"):
                round_.cortex("get")
            with timed(times, "cortex --help"):
                round_.cortex("--help")
            round_.cortex("delete", "iris-classifier")
            with timed(times, "deploy, local cloud running"):
                round_.cortex("deploy", str(round_.project))
                round_.predict()
        finally:
            round_.cortex("local", "down")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    times: dict[str, list[float]] = {name: [] for name in TARGETS}
    for _ in range(parser.parse_args().rounds):
        measure(times)
    print(f"{'':42} {'median s':>9} {'worst s':>9} {'target s':>9}")
    for name, target in TARGETS.items():
        print(f"{name:42} {statistics.median(times[name]):9.2f} {max(times[name]):9.2f} {target:9.1f}")


if __name__ == "__main__":
    main()
