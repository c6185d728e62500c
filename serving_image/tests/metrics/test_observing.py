"""Metrics, access log, timing headers, prediction monitoring."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cortex_serving.metrics.histogram import MAX_VALUES, Histogram
from tests.conftest import Replica, Serve

SIMPLE = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return payload["fail"] and 1 / 0 or {"label": payload["label"]}
"""


def _metrics(replica: Replica) -> dict[str, list[Any]]:
    """Every metric value by name, after checking that each line is valid embedded metric format."""
    values: dict[str, list[Any]] = {}
    for record in replica.lines:
        for directive in record.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "Cortex"
            [dimensions] = directive["Dimensions"]
            assert all(isinstance(record[name], str) for name in dimensions)
            for metric in directive["Metrics"]:
                key = ".".join([metric["Name"], *(record[name] for name in dimensions[1:])])
                values.setdefault(key, []).append(record[metric["Name"]])
    return values


def test_requests_are_counted_timed_and_logged(serve: Serve) -> None:
    replica = serve(SIMPLE)
    for n in range(5):
        answer = replica.post({"fail": n == 4, "label": "a"}, headers={"X-Request-Id": f"id-{n}"})
    assert answer.status_code == 500
    assert replica.post(data=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    timing = replica.post({"fail": False, "label": "a"}).headers["Server-Timing"]
    assert [part.split(";")[0] for part in timing.split(", ")] == ["queue", "predict", "encode"]
    assert replica.stop() == 0
    metrics = _metrics(replica)
    assert sum(metrics["Responses2XX"]) == 5
    assert sum(metrics["Responses4XX"]) == 1
    assert sum(metrics["Responses5XX"]) == 1
    assert sum(value["Count"] for value in metrics["Latency"]) == 7
    access = [record for record in replica.lines if record.get("source") == "access"]
    assert [record["status"] for record in access] == [200, 200, 200, 200, 500, 400, 200]
    assert access[0]["request_id"] == "id-0"
    assert access[0]["message"].startswith("200 POST /api ")


def test_requests_that_a_splitter_sent_are_counted(serve: Serve) -> None:
    """Their path is not below the API's own endpoint: another rule of the load balancer led here."""
    replica = serve(SIMPLE)
    for path in ("/api", "/api/v2", "/shared", "/apis", "/shared/more"):
        assert replica.post({"fail": False, "label": "a"}, path=path).status_code == 200
    replica.stop()
    metrics = _metrics(replica)
    assert sum(metrics["Forwarded"]) == 3
    assert sum(metrics["Responses2XX"]) == 5


def test_metrics_name_the_cluster(serve: Serve) -> None:
    replica = serve(SIMPLE, environ={"CORTEX_CLUSTER": "prod"})
    replica.post({"fail": False, "label": "a"})
    replica.stop()
    counted = next(record for record in replica.lines if "Responses2XX" in record)
    assert counted["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Cluster", "Api"]]
    assert (counted["Cluster"], counted["Api"]) == ("prod", "api")


def test_the_access_log_can_be_sampled_or_off(serve: Serve) -> None:
    replica = serve(SIMPLE, access_log=0.25)
    for _ in range(8):
        replica.post({"fail": False, "label": 1})
    replica.stop()
    assert len(replica.messages(source="access")) == 2


WITH_MODELS = """
class PythonPredictor:
    def __init__(self, config, python_client): pass
    def load_model(self, model_path): return model_path
    def predict(self, payload): return payload
"""


def test_in_flight_is_published_even_when_idle(serve: Serve, tmp_path: Path) -> None:
    model = tmp_path / "project" / "models" / "a" / "2"
    model.mkdir(parents=True)
    (model / "weights").touch()
    replica = serve(WITH_MODELS, models={"dir": "models"})
    record = replica.wait_for("metrics")
    assert record["InFlight"] == 0
    assert record["Api"] == "api"
    assert record["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["StorageResolution"] == 1
    usage = record["replica_usage"]
    assert usage["models"] == {"a": ["2"]}
    if sys.platform == "linux":
        # The supervisor and a worker, each a Python of some MiB.
        assert usage["memory_bytes"] > 20 * 2**20
        assert usage["cpu"] >= 0


def test_a_replica_that_loads_counts_as_an_idle_one(serve: Serve) -> None:
    """The autoscaler multiplies the average by the running replicas: by those that load, too."""
    slow = "import time\n" + SIMPLE.replace("config): pass", "config): time.sleep(11.5)")
    replica = serve(slow)
    events = [record.get("event") or ("metrics" if "InFlight" in record else "") for record in replica.lines]
    assert events.index("metrics") < events.index("ready")


def test_predicted_classes_are_counted(serve: Serve) -> None:
    replica = serve(SIMPLE, monitoring={"model_type": "classification", "key": "label"})
    for label in ["a", "b", "a", 7, 1.5]:
        assert replica.post({"fail": False, "label": label}).status_code == 200
    replica.stop()
    metrics = _metrics(replica)
    assert {name: sum(values) for name, values in metrics.items() if name.startswith("Prediction")} == {
        "Prediction.a": 2,
        "Prediction.b": 1,
        "Prediction.7": 1,
    }
    assert any("a class must be a string or an integer" in text for text in replica.messages(level="WARNING"))


def test_predicted_numbers_are_distributed(serve: Serve) -> None:
    replica = serve(SIMPLE, monitoring={"model_type": "regression", "key": "label"})
    for label in [1, 2.5, -4]:
        replica.post({"fail": False, "label": label})
    replica.stop()
    [report] = _metrics(replica)["Prediction"]
    assert (report["Min"], report["Max"], report["Sum"], report["Count"]) == (-4, 2.5, -0.5, 3)


OF_EVERY_KIND = """
import collections, dataclasses, decimal, enum
import numpy, pydantic
from cortex_serving import Response

class Colour(enum.Enum):
    RED = "red"

@dataclasses.dataclass
class Data:
    label: object

class Model(pydantic.BaseModel, arbitrary_types_allowed=True):
    label: object
    def broken(self):
        pass

class Aliased(pydantic.BaseModel):
    inner: str = pydantic.Field(serialization_alias="label")
    label_: str = "other"

class Odd(dict):
    def __contains__(self, key):
        raise Broken

class Broken(Exception):
    def __str__(self):
        raise ValueError

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        return eval(payload)
"""


def _predictions(metrics: dict[str, list[Any]]) -> dict[str, int]:
    return {name.partition(".")[2]: sum(of) for name, of in metrics.items() if name.startswith("Prediction")}


def test_classes_are_counted_in_whatever_is_returned(serve: Serve) -> None:
    replica = serve(OF_EVERY_KIND, monitoring={"model_type": "classification", "key": "label"})
    labels = {
        "'red'": "red",
        "Colour.RED": "red",
        "numpy.int64(3)": "3",
        "numpy.array([3])": "3",
        "numpy.array(['red'])[0]": "red",
        "''": "(empty)",
        "'gr\u00fcn'": "gr\\xfcn",
        "'x' * 300": "x" * 200,
    }
    for label in labels:
        for shape in ("{{'label': {}}}", "Data({})", "Model(label={})", "Response(Data({}), 201)"):
            assert replica.post(shape.format(label)).status_code < 500
    assert replica.post("Aliased(inner='aliased')").json() == {"label": "aliased", "label_": "other"}
    assert replica.post("Response({'detail': 'no such flower'}, 404)").status_code == 404
    replica.stop()
    expected: dict[str, int] = {}
    for name in labels.values():
        expected[name] = expected.get(name, 0) + 4
    assert _predictions(_metrics(replica)) == {**expected, "aliased": 1}
    assert not [text for text in replica.messages(level="WARNING") if "monitoring" in text]


def test_what_is_no_prediction_is_said_once(serve: Serve) -> None:
    replica = serve(OF_EVERY_KIND, monitoring={"model_type": "regression", "key": "broken"})
    for source in (
        "[1]",
        "{'broken': [1]}",
        "Model(label=1)",
        "{'broken': numpy.array([1, 2])}",
        "{'broken': numpy.array([])}",
        "{'broken': {1}}",
        "{'broken': '1'}",
        "{'broken': True}",
    ):
        for _ in range(3):
            assert replica.post(source).status_code == 200
    replica.stop()
    said = [text for text in replica.messages(level="WARNING") if "monitoring" in text]
    assert len(said) == 8
    assert any("the response (list) has no key 'broken'" in text for text in said)
    assert any("the response (Model) has no key 'broken'" in text for text in said)
    assert any("a prediction must be one value, not a ndarray of 2" in text for text in said)


def test_an_answer_whose_methods_raise_is_sent_all_the_same(serve: Serve) -> None:
    replica = serve(OF_EVERY_KIND, monitoring={"model_type": "regression", "key": "label"})
    assert replica.post("Odd(label=1)").json() == {"label": 1}
    replica.stop()
    assert "prediction monitoring: Broken" in replica.messages(level="WARNING")


def test_numbers_without_a_key(serve: Serve) -> None:
    replica = serve(OF_EVERY_KIND, monitoring={"model_type": "regression"})
    for source in ("1", "numpy.float32(2.5)", "numpy.array([[4]])", "decimal.Decimal('0.5')", "Response(8)"):
        assert replica.post(source).status_code == 200
    replica.stop()
    [report] = _metrics(replica)["Prediction"]
    assert (report["Count"], report["Sum"]) == (5, 16.0)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300))
def test_histograms_are_exact_in_totals_and_close_in_values(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    finite = [value for value in values if math.isfinite(value)]
    report = histogram.report()
    assert report["Count"] == sum(report["Counts"]) == len(finite)
    assert len(report["Values"]) <= MAX_VALUES
    if finite:
        assert (report["Min"], report["Max"]) == (min(finite), max(finite))
        assert all(report["Min"] <= value <= report["Max"] for value in report["Values"])
