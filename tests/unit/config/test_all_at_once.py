"""All problems at once: what is wrong with many mistakes is the union of what is wrong with each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.config import load_config
from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.load_cluster import load_cluster
from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import SOURCE

GONE = object()

API = {
    "name": "iris",
    "kind": "RealtimeAPI",
    "predictor": {
        "type": "python",
        "path": "predictor.py",
        "models": {"paths": [{"name": "a", "model_path": "model"}, {"name": "b", "model_path": "model"}]},
    },
    "compute": {},
    "autoscaling": {},
    "networking": {},
}
# None of them is about a field that another one is about.
API_MISTAKES: dict[FieldPath, Any] = {
    ("name",): "NOT-A-NAME",
    ("nmae",): 1,
    ("predictor", "processes_per_replica"): 0,
    ("predictor", "python_path"): "no-folder",
    ("predictor", "warmup"): "no-file.json",
    ("predictor", "env"): {"CORTEX_X": "1", "FINE": "yes"},
    ("predictor", "signature_key"): "x",
    ("predictor", "server_side_batching"): {"batch_interval": "1s"},
    ("predictor", "models", "paths", 0, "model_path"): "no-model",
    ("predictor", "models", "paths", 1, "name"): GONE,
    ("compute", "cpu"): "much",
    ("compute", "inf"): -1,
    ("autoscaling", "min_replicas"): 200,
    ("autoscaling", "window"): "7s",
    ("autoscaling", "target_replica_concurrency"): 2000,
    ("update_strategy",): {"max_surge": 0, "max_unavailable": 0},
    ("networking", "endpoint"): "//",
    ("monitoring",): {"key": "label"},
}
CODE_MISTAKES: dict[FieldPath, Any] = {
    ("predictor",): GONE,
    ("compute",): {"gpu": 1, "inf": 1},
    ("autoscaling", "min_replicas"): 200,
    ("update_strategy",): {"max_surge": 0, "max_unavailable": 0},
    ("monitoring", "model_type"): "clasification",
}
FILE_MISTAKES: dict[FieldPath, Any] = {
    ("predictor", "path"): "no-predictor.py",
    ("predictor", "env"): {"A": 1},
    ("predictor", "server_side_batching"): {"max_batch_size": 1, "batch_interval": "1s"},
    ("autoscaling", "init_replicas"): 500,
}
SPLITTER = {
    "name": "all",
    "kind": "TrafficSplitter",
    "apis": [{"name": "a", "weight": 50}, {"name": "b", "weight": 50}],
}
SPLITTER_MISTAKES: dict[FieldPath, Any] = {
    ("apis", 0, "weight"): 101,
    ("apis", 1, "name"): "all",
    ("networking",): {"endpoint": "//"},
}
CLUSTER = {
    "name": "prod",
    "region": "eu-west-1",
    "vpc": {},
    "instance_groups": [
        {"name": "one", "instance_types": ["m6i.large"]},
        {"name": "two", "instance_types": ["g4dn.xlarge"]},
    ],
}
CLUSTER_MISTAKES: dict[FieldPath, Any] = {
    ("account",): 12,
    ("subnet_visbility",): "private",
    ("log_retention",): 2,
    ("availability_zones",): ["eu-west-1a"],
    ("load_balancer",): {"allowed_cidrs": []},
    ("vpc", "public_subnets"): ["subnet-00000001", "subnet-00000002"],
    ("tags",): {"aws:x": "y"},
    ("instance_groups", 0, "name"): "UPPER",
    ("instance_groups", 0, "max_instances"): 0,
    ("instance_groups", 0, "spot"): 3,
    ("instance_groups", 1, "instance_types"): ["g4dn.xlarge", "m6i.large"],
    ("instance_groups", 1, "min_instances"): 50,
}
Report = frozenset[tuple[str, str]]


def mistaken(base: dict[str, Any], mistakes: dict[FieldPath, Any], chosen: Iterable[FieldPath]) -> dict[str, Any]:
    data = copy.deepcopy(base)
    for path in chosen:
        target: Any = data
        for part in path[:-1]:
            target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
        if mistakes[path] is GONE:
            del target[path[-1]]
        else:
            target[path[-1]] = mistakes[path]
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("project")
    (path / "predictor.py").write_text(SOURCE)
    (path / "model").mkdir()
    return path


def report(load: Callable[[Path], object], file: Path, data: object) -> Report:
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    try:
        load(file)
    except ConfigError as error:
        # An entry is called by its name, which may be one of the mistakes.
        return frozenset(
            (problem.path.partition(".")[2] or problem.path, problem.message) for problem in error.problems
        )
    return frozenset()


KINDS: dict[str, tuple[dict[str, Any], dict[FieldPath, Any]]] = {
    "api": (API, API_MISTAKES),
    "code": ({**API, "predictor": {"type": "python", "path": "predictor.py"}}, CODE_MISTAKES),
    "files": ({**API, "predictor": {"type": "python", "path": "predictor.py"}}, FILE_MISTAKES),
    "splitter": (SPLITTER, SPLITTER_MISTAKES),
    "cluster": (CLUSTER, CLUSTER_MISTAKES),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_together_they_are_the_union(folder: Path, kind: str, data: st.DataObject) -> None:
    base, mistakes = KINDS[kind]

    def problems(chosen: Iterable[FieldPath]) -> Report:
        document = mistaken(base, mistakes, chosen)
        if kind == "cluster":
            return report(load_cluster, folder / "cluster.yaml", document)
        return report(load_config, folder / "cortex.yaml", [document])

    chosen = data.draw(st.lists(st.sampled_from(list(mistakes)), min_size=1, unique=True))
    each = {path: problems([path]) for path in chosen}
    assert all(each.values()), "each is a mistake by itself"
    assert problems(chosen) == frozenset().union(*each.values())
