"""The machine's clock is set by hours while the local cloud runs: forward, back, and back to where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.conftest import Cortex
from tests.local.waiting import until

LOCAL_SPEED = "20"
PREDICTOR = (
    "class PythonPredictor:\n"
    "    def __init__(self, config):\n        pass\n"
    "    def predict(self, payload):\n        return {code}\n"
)
libfaketime = pytest.importorskip("libfaketime", reason="libfaketime is for Linux")


class Clock:
    """The clock of all programs of a local cloud. How long something lasts stays as it is, as with every clock.

    Args:
        file: Tells the programs by how much their clock is wrong.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hours = 0
        self.set(0)

    def set(self, hours: int) -> None:
        """Set the clock to so many hours after the real time."""
        self._hours = hours
        # Moved into its place: whoever reads the clock meanwhile must not find half of a line.
        new = self._file.with_suffix(".new")
        new.write_text(f"{hours:+}h\n")
        new.rename(self._file)

    def now(self) -> datetime:
        """What the clock says."""
        return datetime.now(timezone.utc) + timedelta(hours=self._hours)

    @property
    def environ(self) -> dict[str, str]:
        """Variables of the programs that have this clock."""
        library, *_ = Path(libfaketime.__file__).parent.rglob("libfaketime.so.1")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock") / "offset")


@pytest.fixture(scope="module")
def cortex(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Cortex]:
    cortex = Cortex(tmp_path_factory.mktemp("home"))
    cortex.environ.update(CORTEX_LOCAL_SPEED=LOCAL_SPEED, **clock.environ)
    yield cortex
    cortex.ok("local", "down")


@pytest.fixture(scope="module")
def project(cortex: Cortex, clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    api = {
        "name": "text",
        "kind": "RealtimeAPI",
        # Replicas get nothing of the local cloud's own environment.
        "predictor": {"type": "python", "path": "predictor.py", "env": clock.environ},
        "autoscaling": {"min_replicas": 2, "max_replicas": 4},
    }
    (folder / "cortex.yaml").write_text(json.dumps([api]))
    (folder / "predictor.py").write_text(PREDICTOR.format(code=0))
    cortex.ok("deploy", str(folder))
    return folder


def answer(cortex: Cortex) -> int:
    return int(cortex.ok("predict", "text", "-", stdin="{}"))


@pytest.mark.parametrize("hours", [2, -2, 0])
def test_nothing_is_lost_and_the_next_deployment_works(cortex: Cortex, project: Path, clock: Clock, hours: int) -> None:
    before, code = cortex.replicas("text"), answer(cortex)
    clock.set(hours)
    assert answer(cortex) == code
    # Some minutes of the local clock: health checks, alarms and policies have looked.
    cloudwatch = cortex.aws("cloudwatch")
    since = clock.now()
    until(lambda: points(cloudwatch, since) >= 3)
    report = cortex.json("get", "text")
    assert (report["status"], report["alarms"], report["stopped_replicas"]) == ("live", [], [])
    assert (report["replicas"]["requested"], cortex.json("why", "text")["cause"]) == (2, None)
    assert cortex.replicas("text") == before

    (project / "predictor.py").write_text(PREDICTOR.format(code=code + 1))
    cortex.ok("deploy", str(project))
    assert answer(cortex) == code + 1
    newest = cortex.json("history", "text")["deployments"][0]
    assert (newest["outcome"], newest["serves"]) == ("deployed", True)
    # The credentials of replicas are still good: their lines come.
    until(lambda: f"{clock.now():%Y-%m-%d}" in cortex.ok("logs", "text", "--no-follow", "--since", "1m"))


def points(cloudwatch: object, since: datetime) -> int:
    """For how many minutes the service's use of processors was measured since."""
    found = cloudwatch.get_metric_statistics(  # type: ignore[attr-defined]
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "ClusterName", "Value": "cortex-local"}, {"Name": "ServiceName", "Value": "text"}],
        StartTime=since,
        EndTime=since + timedelta(hours=1),
        Period=1,
        Statistics=["SampleCount"],
    )
    return len(found["Datapoints"])


def test_what_was_measured_of_hours_that_come_again_does_not_count(cortex: Cortex, project: Path, clock: Clock) -> None:
    """An alarm would go off for errors of the first time, and policies would add both loads."""
    cloudwatch, began = cortex.aws("cloudwatch"), clock.now() - timedelta(seconds=1)
    cloudwatch.put_metric_data(Namespace="Ours", MetricData=[{"MetricName": "errors", "Value": 1.0}])

    def measured() -> list[float]:
        found = cloudwatch.get_metric_statistics(
            Namespace="Ours",
            MetricName="errors",
            StartTime=began,
            EndTime=began + timedelta(hours=1),
            Period=60,
            Statistics=["Sum"],
        )
        return [point["Sum"] for point in found["Datapoints"]]

    assert measured() == [1.0]
    clock.set(2)
    later = clock.now()
    until(lambda: points(cloudwatch, later) >= 1)
    clock.set(0)
    until(lambda: measured() == [])
