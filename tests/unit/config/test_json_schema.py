"""What the JSON Schemas accept: every file that the models accept, and no file that is plainly wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cortex_cdk.config.json_schema import api_file_schema, cluster_file_schema
from tests.conftest import Cortex
from tests.unit.config.conftest import with_fields
from tests.unit.config.test_cluster import ACCEPTED
from tests.unit.config.test_fields import FIELDS

APIS, CLUSTER = Draft202012Validator(api_file_schema()), Draft202012Validator(cluster_file_schema())
SPLITTER = {
    "name": "split",
    "kind": "TrafficSplitter",
    "apis": [{"name": "a", "weight": 40}, {"name": "b", "weight": 60}],
}


def test_the_command_prints_the_schemas(cortex: Cortex) -> None:
    assert json.loads(cortex.ok("schema")) == api_file_schema()
    assert json.loads(cortex.ok("schema", "cluster.yaml")) == cluster_file_schema()


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, values, _ in FIELDS for value in values],
    ids=lambda item: repr(item)[:40],
)
def test_an_api_that_loads_satisfies_its_schema(path: str, value: Any) -> None:
    written = value[0] if isinstance(value, tuple) else value
    assert not [error.message for error in APIS.iter_errors([with_fields({path: written})])]


@pytest.mark.parametrize(
    "changes",
    [
        {"predictor.models": [{"name": "a", "model_path": "s3://bucket/a"}]},
        {"predictor.models": {"dir": "s3://bucket/models"}},
        {"predictor.server_side_batching": {"max_batch_size": 4, "batch_interval": "50ms"}},
        {"monitoring": None, "compute": None, "autoscaling.min_replicas": None},
    ],
    ids=str,
)
def test_other_spellings_satisfy_the_schema(changes: dict[str, Any]) -> None:
    assert not [error.message for error in APIS.iter_errors([with_fields(changes), SPLITTER])]


@pytest.mark.parametrize("data", ACCEPTED, ids=str)
def test_a_cluster_that_loads_satisfies_its_schema(data: dict[str, Any]) -> None:
    # A number is accepted for an account, and not recommended: it may have lost its zeros.
    assert isinstance(data.get("account"), int) or not [error.message for error in CLUSTER.iter_errors(data)]


@pytest.mark.parametrize(
    "changes",
    [
        {"predictor.typ": "python"},
        {"predictor.type": "pyton"},
        {"autoscaling.min_replicas": 0},
        {"autoscaling.min_replicas": "1"},
        {"autoscaling.window": ["10s"]},
        {"compute.cpu": True},
        {"predictor.config": [1]},
        {"kind": "BatchAPI"},
    ],
    ids=str,
)
def test_what_is_plainly_wrong_does_not(changes: dict[str, Any]) -> None:
    assert not APIS.is_valid([with_fields(changes)])
    assert not APIS.is_valid(with_fields(changes))


def test_a_cluster_with_an_unknown_field_does_not() -> None:
    assert not CLUSTER.is_valid({"regoin": "eu-west-1"})
