"""Every field of a Realtime API: its default, its bounds, what is just outside, and wrong types."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.config import RealtimeApi
from tests.unit.config.conftest import Complaints, LoadApi

S3 = "s3://bucket/model"
PATHS = [{"name": "a", "model_path": S3}]


def value_of(api: RealtimeApi, path: str) -> Any:
    value: Any = api
    for part in path.split("."):
        value = getattr(value, part)
    return value


DEFAULTS: dict[str, Any] = {
    "predictor.model_path": None,
    "predictor.signature_key": None,
    "predictor.models": None,
    "predictor.server_side_batching": None,
    "predictor.processes_per_replica": 1,
    "predictor.threads_per_process": 1,
    "predictor.config": {},
    "predictor.python_path": None,
    "predictor.image": None,
    "predictor.tensorflow_serving_image": None,
    "predictor.env": {},
    "predictor.warmup": True,
    "predictor.access_log": 1.0,
    "predictor.max_body_bytes": None,
    "networking.endpoint": "/iris",
    "networking.local_port": None,
    "networking.api_gateway": "public",
    "compute.cpu": 0.2,
    "compute.mem": None,
    "compute.gpu": 0,
    "compute.inf": 0,
    "monitoring": None,
    "autoscaling.min_replicas": 1,
    "autoscaling.max_replicas": 10,
    "autoscaling.init_replicas": 1,
    "autoscaling.target_replica_concurrency": 1.0,
    "autoscaling.target_replica_requests_per_second": None,
    "autoscaling.max_replica_concurrency": 1024,
    "autoscaling.window": 60.0,
    "autoscaling.downscale_stabilization_period": 300.0,
    "autoscaling.upscale_stabilization_period": 60.0,
    "autoscaling.max_downscale_factor": 0.75,
    "autoscaling.max_upscale_factor": 1.5,
    "autoscaling.downscale_tolerance": 0.05,
    "autoscaling.upscale_tolerance": 0.05,
    "update_strategy.max_surge": "25%",
    "update_strategy.max_unavailable": "25%",
}


def test_defaults(load_api: LoadApi) -> None:
    api = load_api({})
    assert {path: value_of(api, path) for path in DEFAULTS} == DEFAULTS


# Field, values that are accepted (with what they become), values that are refused.
Row = tuple[str, list[Any | tuple[Any, Any]], list[Any]]
NOT_WHOLE = ["1", 1.5, True, [1], {"a": 1}, "x"]
NOT_NUMBER = ["1", True, [1], {"a": 1}, "x"]
NOT_TEXT = ["", 1, True, ["x"], {"a": 1}]
DURATIONS_REFUSED = ["", "x", "5", "-5s", "5 s", "1d", "s", True, ["5s"], {"a": 1}]

FIELDS: list[Row] = [
    (
        "name",
        ["a", "a" * 42, "a-1", "i9"],
        ["", "A", "1a", "-a", "a-", "a" * 43, "a_b", "a.b", "ä", "a\n", *NOT_TEXT[1:]],
    ),
    ("predictor.path", ["predictor.py", "./predictor.py"],
     [*NOT_TEXT, "missing.py", "/etc/passwd", "../predictor.py", "src", "predictor.txt"]),
    ("predictor.processes_per_replica", [1, 100], [0, 101, -1, *NOT_WHOLE]),
    ("predictor.threads_per_process", [1, 1024], [0, -1, *NOT_WHOLE]),
    ("predictor.config", [{}, {"a": [1, {"b": None}], "c": 1.5}], [1, "x", [1], True]),
    ("predictor.python_path", ["src", ("src/", "src")],
     ["", ".", "..", "./", "/src", "~", "~/src", "../src", "src/..", "nowhere", "predictor.py", 1]),
    ("predictor.image", ["me/image:1"], NOT_TEXT),
    ("predictor.env", [{}, {"A": "1", "b": ""}],
     [{"CORTEX_A": "1"}, {"A": 1}, {"A": True}, {"A": ["x"]}, {"": "x"}, {"A=B": "x"}, 1, "x", ["A"]]),
    ("predictor.warmup", [True, False, "sample.json"], [1, "", "missing.json", "src", ["x"]]),
    ("predictor.startup_timeout", [("10s", 10.0), ("1h", 3600.0), ("12.5s", 12.5), (600, 600.0)],
     ["9s", "0s", 9.99, "1h1s", 3601, *DURATIONS_REFUSED]),
    ("predictor.access_log", [0, 1, 0.5], [-0.1, 1.1, *NOT_NUMBER]),
    ("predictor.max_body_bytes", [1, ("1Mi", 2**20)], [0, -1, "0", "1X", 1.5, True]),
    ("networking.local_port", [1, 65535], [0, 65536, *NOT_WHOLE]),
    ("networking.api_gateway", ["public", "none"], ["private", "", 1, True]),
    ("compute.cpu", [("20m", 0.02), (0.02, 0.02), ("0.02", 0.02), ("200m", 0.2), (2, 2.0), ("1.5", 1.5), (".5", 0.5),
      ("1e-1", 0.1), ("250000u", 0.25), ("100000000n", 0.1), ("+1.", 1.0), ("1k", 1000.0)],
     ["19m", 0.019, 0, "0", -1, "", "1x", "m", "1 m", True, [1], {"a": 1}]),
    ("compute.mem", [("20Mi", 20 * 2**20), (20 * 2**20, 20 * 2**20), ("1Gi", 2**30),
      ("1.5Gi", 3 * 2**29), ("1G", 10**9), ("21M", 21 * 10**6), ("30000K", 3 * 10**7), ("30000k", 3 * 10**7),
      ("20480Ki", 20 * 2**20), ("1Ti", 2**40), ("1T", 10**12),
      ("129e6", 129 * 10**6), (129e6, 129 * 10**6), ("1E9", 10**9), ("128974848000m", 128974848), ("1P", 10**15),
      ("1Pi", 2**50), ("1E", 10**18), ("1Ei", 2**60), (".5Gi", 2**29), ("+1.G", 10**9)],
     [20 * 2**20 - 1, "19Mi", 0, -1, "", "1", "Mi", "1 Gi", "1gi", "1GB", 20971520.5, True, [1]]),
    ("compute.gpu", [0, 1, 8], [-1, *NOT_WHOLE]),
    ("compute.inf", [0, 1], [-1, 2, *NOT_WHOLE]),
    ("monitoring.model_type", ["classification", "regression"], ["clasification", "", 1, None]),
    ("autoscaling.min_replicas", [1, 100], [0, -1, *NOT_WHOLE]),
    ("autoscaling.max_replicas", [1, 10_000], [0, -1, *NOT_WHOLE]),
    ("autoscaling.init_replicas", [1, 100], [0, 101, *NOT_WHOLE]),
    ("autoscaling.target_replica_concurrency", [0.1, 1, 1024], [0, -1, 1024.1, *NOT_NUMBER]),
    ("autoscaling.target_replica_requests_per_second", [0.01, 100_000], [0, -1, *NOT_NUMBER]),
    ("autoscaling.max_replica_concurrency", [1, 65535], [0, 65536, *NOT_WHOLE]),
    ("autoscaling.window", [("10s", 10.0), ("1m", 60.0), ("1m30s", 90.0), (20, 20.0)],
     ["9s", "15s", "10.5s", "0s", *DURATIONS_REFUSED]),
    ("autoscaling.downscale_stabilization_period", [("0s", 0.0), ("0", 0.0), ("1h", 3600.0), ("250ms", 0.25)],
     [-1, *DURATIONS_REFUSED]),
    ("autoscaling.upscale_stabilization_period", [("0s", 0.0), ("1.5m", 90.0)], [-1, *DURATIONS_REFUSED]),
    ("autoscaling.max_downscale_factor", [0, 0.99], [1, -0.1, *NOT_NUMBER]),
    ("autoscaling.max_upscale_factor", [1.01, 10], [1, 0, *NOT_NUMBER]),
    ("autoscaling.downscale_tolerance", [0, 0.99], [1, -0.1, *NOT_NUMBER]),
    ("autoscaling.upscale_tolerance", [0, 2], [-0.1, *NOT_NUMBER]),
    ("update_strategy.max_surge", [0, 1, 1000, ("3", 3), "0%", "100%", ("05%", "5%")],
     [-1, "101%", "-1%", "1.5%", "%", "", 1.5, True, "x"]),
    ("update_strategy.max_unavailable", [0, 1, ("3", 3), "0%", "100%"], [-1, "101%", 0.25, True]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, values, _ in FIELDS for value in values],
    ids=lambda item: repr(item)[:40],
)
def test_accepted(load_api: LoadApi, path: str, value: Any) -> None:
    written, expected = value if isinstance(value, tuple) else (value, value)
    api = load_api({path: written})
    found = value_of(api, path)
    assert found == expected
    assert type(found) is type(expected) or isinstance(found, float)
    assert RealtimeApi.model_validate(api.model_dump(mode="json")) == api


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, _, values in FIELDS for value in values],
    ids=lambda item: repr(item)[:40],
)
def test_refused(complaints: Complaints, path: str, value: Any) -> None:
    (complaint,) = complaints({path: value})
    field = complaint.split(": ")[0]
    if path == "name":
        assert field == (f"{value}.name" if isinstance(value, str) and value else "[0].name")
    else:
        assert field == f"iris.{path}" or field.startswith(f"iris.{path}.")


SECTIONS = ["predictor", "networking", "compute", "monitoring", "autoscaling", "update_strategy"]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", [1, "x", [1], True])
def test_sections_are_maps(complaints: Complaints, section: str, value: Any) -> None:
    assert complaints({section: value})[0].startswith(f"iris.{section}: must be a map, not ")


@pytest.mark.parametrize("section", ["", *(f"{section}." for section in SECTIONS)])
def test_unknown_fields(complaints: Complaints, section: str) -> None:
    required = {"monitoring.model_type": "regression"} if section == "monitoring." else {}
    (complaint,) = complaints({**required, f"{section}nonsense": 1})
    assert complaint.startswith(f"iris.{section}nonsense: is not a field here (the fields of ")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("predictor.modles", "did you mean models?"),
        ("autoscaling.min-replicas", "did you mean min_replicas?"),
        ("autoscaling.maxReplicas", "did you mean max_replicas?"),
        ("compute.memory", "did you mean mem?"),
        ("min_replicas", "it belongs to autoscaling"),
        ("endpoint", "it belongs to networking"),
    ],
)
def test_nearest_field(complaints: Complaints, path: str, hint: str) -> None:
    assert complaints({path: 1}) == [f"iris.{path}: is not a field here ({hint})"]


@pytest.mark.parametrize("path", ["name", "predictor", "predictor.type", "predictor.path", "monitoring.model_type"])
def test_required(complaints: Complaints, path: str) -> None:
    changes = {"monitoring.key": "k", path: None} if path.startswith("monitoring") else {path: None}
    (complaint,) = complaints(changes)
    assert complaint.startswith(("[0]" if path == "name" else "iris") + f".{path}: is required (")


def test_null_means_not_set(load_api: LoadApi) -> None:
    changes: dict[str, Any] = {path: None for path in DEFAULTS if "." in path} | {
        "monitoring": None,
        "predictor.image": None,
    }
    api = load_api(changes)
    assert {path: value_of(api, path) for path in DEFAULTS} == DEFAULTS
    assert load_api({section: None for section in SECTIONS if section != "predictor"}) == load_api({})


def test_type_and_kind(complaints: Complaints) -> None:
    assert complaints({"predictor.type": "Python"}) == [
        'iris.predictor.type: must be onnx, python or tensorflow, not "Python" (did you mean python?)'
    ]
    assert complaints({"kind": "BatchAPI"})[0].startswith(
        "iris.kind: BatchAPI is not supported; allowed are RealtimeAPI"
    )
    assert complaints({"kind": "RealtimeApi"}) == [
        "iris.kind: must be RealtimeAPI or TrafficSplitter, not 'RealtimeApi' (did you mean RealtimeAPI?)"
    ]
    assert complaints({"kind": None}) == ["iris.kind: is required (RealtimeAPI or TrafficSplitter)"]
    assert len(complaints({"kind": None, "predictor.typo": 1})) == 2


BATCHING = "predictor.server_side_batching"


@pytest.mark.parametrize(
    ("size", "interval", "expected"), [(2, "1ms", 0.001), (1024, "1h", 3600.0), (32, 0.05, 0.05), (2, "1ns", 1e-9)]
)
@pytest.mark.parametrize("kind", ["python", "tensorflow", "onnx"])
def test_batching(load_api: LoadApi, kind: str, size: int, interval: Any, expected: float) -> None:
    batching = {"max_batch_size": size, "batch_interval": interval}
    api = load_api({BATCHING: batching, "predictor.type": kind, "predictor.model_path": S3})
    assert api.predictor.server_side_batching is not None
    assert api.predictor.server_side_batching.batch_interval == pytest.approx(expected)


@pytest.mark.parametrize(
    ("batching", "field"),
    [
        ({"max_batch_size": 1, "batch_interval": "1s"}, ".max_batch_size"),
        ({"max_batch_size": 1025, "batch_interval": "1s"}, ".max_batch_size"),
        ({"max_batch_size": 2, "batch_interval": "0s"}, ".batch_interval"),
        ({"max_batch_size": 2, "batch_interval": -1}, ".batch_interval"),
        ({"max_batch_size": 2}, ".batch_interval"),
        ({"max_batch_size": 2, "batch_interval": 1, "on_error": "retry"}, ".on_error"),
        ({"batch_interval": "1s"}, ".max_batch_size"),
        (2, ""),
    ],
)
def test_batching_refused(complaints: Complaints, batching: Any, field: str) -> None:
    (complaint,) = complaints({BATCHING: batching})
    assert complaint.startswith(f"iris.{BATCHING}{field}: ")


def test_models_of_both_generations_are_the_same(load_api: LoadApi) -> None:
    old = load_api({"predictor.models": PATHS})
    new = load_api({"predictor.models": {"paths": PATHS}})
    assert old == new
    assert old.predictor.models is not None
    assert [model.name for model in old.predictor.models.paths or ()] == ["a"]
    folder = load_api({"predictor.models": {"dir": S3, "cache_size": 2, "disk_cache_size": 2}}).predictor.models
    assert folder is not None
    assert (folder.dir, folder.cache_size, folder.disk_cache_size) == (S3, 2, 2)


def test_endpoint_is_normalized(load_api: LoadApi) -> None:
    for written in ("a/b", "/a/b", "a/b/", "/a/b/"):
        assert load_api({"networking.endpoint": written}).networking.endpoint == "/a/b"
    assert load_api({"networking.endpoint": "/" + "a" * 125}).networking.endpoint == "/" + "a" * 125


@pytest.mark.parametrize(
    "endpoint",
    ["", "/", "//", "a//b", "a b", "a?b", "a*", "ä", "/healthz", "readyz/", ".", "a/../b", "a" * 126, 1, True],
)
def test_endpoint_refused(complaints: Complaints, endpoint: Any) -> None:
    (complaint,) = complaints({"networking.endpoint": endpoint})
    assert complaint.startswith("iris.networking.endpoint: must be a path of at most 126 characters")


def test_the_target_grows_with_processes_and_threads(load_api: LoadApi) -> None:
    scaling = load_api({"predictor.processes_per_replica": 2, "predictor.threads_per_process": 4}).autoscaling
    assert scaling.target_replica_concurrency == 8
    scaling = load_api({"predictor.processes_per_replica": 2, "autoscaling.target_replica_concurrency": 3}).autoscaling
    assert scaling.target_replica_concurrency == 3


@pytest.mark.parametrize("written", [None, 0.5, 80])
def test_the_rate_scales_only_where_it_is_written(load_api: LoadApi, written: float | None) -> None:
    found = load_api({"predictor.threads_per_process": 8, "autoscaling.target_replica_requests_per_second": written})
    assert found.autoscaling.target_replica_requests_per_second == written


@pytest.mark.parametrize(
    ("written", "most"),
    [
        ({}, 10),
        ({"min_replicas": 2}, 10),
        ({"min_replicas": 12}, 12),
        ({"init_replicas": 30}, 30),
        ({"max_replicas": 3}, 3),
    ],
)
def test_the_default_maximum_is_small(load_api: LoadApi, written: dict[str, int], most: int) -> None:
    found = load_api({f"autoscaling.{name}": value for name, value in written.items()})
    assert found.autoscaling.max_replicas == most


def test_init_replicas_default_to_the_minimum(load_api: LoadApi) -> None:
    assert load_api({"autoscaling.min_replicas": 7}).autoscaling.init_replicas == 7


@pytest.mark.parametrize(
    ("cpu", "units"), [("20m", 21), ("200m", 205), ("250m", 256), (1, 1024), ("1.5", 1536), (0.3, 308)]
)
def test_cpu_units_round_up(load_api: LoadApi, cpu: Any, units: int) -> None:
    assert load_api({"compute.cpu": cpu}).compute.cpu_units == units


def test_memory_rounds_up_to_mebibytes(load_api: LoadApi) -> None:
    assert load_api({"compute.mem": "1G"}).compute.memory_mib == 954
    assert load_api({"compute.mem": "1Gi"}).compute.memory_mib == 1024
    assert load_api({}).compute.memory_mib is None
