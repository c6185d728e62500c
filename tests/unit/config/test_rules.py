"""Rules between fields, between entries, and of the files that are named."""

# ruff: noqa: E501 - tables of messages and values

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cortex_cdk.config import RealtimeApi, load_config
from cortex_cdk.errors import ConfigError, ProjectError
from tests.unit.config.conftest import BASE, SOURCE, Complaints, LoadApi, LoadText, with_fields

S3 = "s3://bucket/model"
ONE = {"name": "a", "model_path": S3}
TWO = {"name": "b", "model_path": S3}

CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({"autoscaling": {"min_replicas": 3, "max_replicas": 2}}, "autoscaling.min_replicas: 3 is more than max_replicas, which is 2"),
    ({"autoscaling": {"min_replicas": 200}}, "autoscaling.min_replicas: 200 is more than max_replicas, which is 100"),
    (
        {"autoscaling": {"min_replicas": 2, "init_replicas": 1}},
        "autoscaling.init_replicas: must be from min_replicas (2) to max_replicas (10), not 1",
    ),
    (
        {"autoscaling": {"max_replicas": 4, "init_replicas": 5}},
        "autoscaling.init_replicas: must be from min_replicas (1) to max_replicas (4), not 5",
    ),
    (
        {"autoscaling": {"target_replica_concurrency": 2.5, "max_replica_concurrency": 2}},
        "autoscaling.target_replica_concurrency: target_replica_concurrency (by default processes * threads) is 2.5, more than "
        "max_replica_concurrency, which is 2",
    ),
    (
        {"autoscaling.max_replica_concurrency": 3, "predictor.threads_per_process": 4},
        "autoscaling.max_replica_concurrency: target_replica_concurrency (by default processes * threads) is 4, more than "
        "max_replica_concurrency, which is 3",
    ),
    (
        {"predictor.server_side_batching": {"max_batch_size": 9, "batch_interval": "1s"}, "autoscaling.max_replica_concurrency": 8},
        "predictor.server_side_batching.max_batch_size: 9 can never be reached: a replica admits max_replica_concurrency = 8 "
        "requests at a time",
    ),
    (
        {"update_strategy": {"max_surge": 0, "max_unavailable": "0%"}},
        "update_strategy.max_surge: max_surge and max_unavailable cannot both be 0: no replica could ever be replaced "
        "(set max_unavailable to 1 to update without spare capacity)",
    ),
    (
        {"compute.mem": "256Mi", "predictor.max_body_bytes": "129Mi"},
        "predictor.max_body_bytes: must be at most half of compute.mem, 134217728 bytes: a replica holds a body and its values "
        "(raise compute.mem, or have clients send a link to large files)",
    ),
    (
        {"compute": {"gpu": 1, "inf": 1}},
        "compute.inf: a replica cannot have both GPUs and Inferentia chips (set one of them to 0)",
    ),
    (
        {"compute.inf": 1, "predictor.processes_per_replica": 3},
        "predictor.processes_per_replica: must be 1, 2 or 4, not 3: a chip has 4 NeuronCores to divide",
    ),
    (
        {"compute.inf": 1, "predictor.type": "onnx", "predictor.model_path": S3},
        "compute.inf: ONNX predictors do not run on Inferentia",
    ),
    ({"predictor.type": "onnx"}, "predictor.type: onnx predictors need model_path or models"),
    ({"predictor.type": "tensorflow"}, "predictor.type: tensorflow predictors need model_path or models"),
    (
        {"predictor.model_path": S3, "predictor.models": [ONE]},
        "predictor.models: cannot be used together with model_path (remove one of them)",
    ),
    ({"predictor.models": {}}, "predictor.models: needs paths (a list of models) or dir (a folder of models)"),
    (
        {"predictor.models": {"paths": [ONE], "dir": S3}},
        "predictor.models.dir: cannot be used together with paths (remove one of them)",
    ),
    ({"predictor.models": {"paths": []}}, "predictor.models.paths: must have at least one model"),
    ({"predictor.models": []}, "predictor.models: must have at least one model"),
    (
        {"predictor.models": {"paths": [ONE, TWO, ONE]}},
        "predictor.models.paths[2].name: there is another model named a (names must be unique)",
    ),
    ({"predictor.models": [ONE, ONE]}, "predictor.models[1].name: there is another model named a (names must be unique)"),
    ({"predictor.models": {"dir": S3, "cache_size": 1}}, "predictor.models.cache_size: needs disk_cache_size too"),
    ({"predictor.models": {"dir": S3, "disk_cache_size": 1}}, "predictor.models.disk_cache_size: needs cache_size too"),
    (
        {"predictor.models": {"dir": S3, "cache_size": 3, "disk_cache_size": 2}},
        "predictor.models.cache_size: 3 is more than disk_cache_size, which is 2",
    ),
    (
        {"predictor.models": {"dir": S3, "cache_size": 1, "disk_cache_size": 2}, "predictor.processes_per_replica": 2},
        "predictor.models.cache_size: needs processes_per_replica to be 1, not 2: each has its own cache",
    ),
    (
        {"predictor.signature_key": "k"},
        "predictor.signature_key: is for TensorFlow predictors only, and this one is python (remove it)",
    ),
    (
        {"predictor.tensorflow_serving_image": "k"},
        "predictor.tensorflow_serving_image: is for TensorFlow predictors only, and this one is python (remove it)",
    ),
    (
        {"predictor.models": {"dir": S3, "signature_key": "k"}},
        "predictor.models.signature_key: is for TensorFlow predictors only, and this one is python (remove it)",
    ),
    (
        {"predictor.models": [{**ONE, "signature_key": "k"}]},
        "predictor.models[0].signature_key: is for TensorFlow predictors only, and this one is python (remove it)",
    ),
    ({"predictor.models": [{**ONE, "name": "_cortex_default"}]}, "predictor.models[0].name: must be letters, digits, _ or -, not "
     'beginning with _cortex, not "_cortex_default"'),
    ({"predictor.models": [{**ONE, "name": "a.b"}]}, "predictor.models[0].name: must be letters, digits, _ or -, not "
     'beginning with _cortex, not "a.b"'),
    ({"predictor.models": [{"name": "a"}]}, "predictor.models[0].model_path: is required (text)"),
    ({"predictor.models": [{**ONE, "modelpath": 1}]}, "predictor.models[0].modelpath: is not a field here (did you mean model_path?)"),
    ({"predictor.models": ["a"]}, 'predictor.models[0]: must be a map, not "a"'),
    ({"predictor.models": 1}, "predictor.models: must be a map with paths or dir, or a list of models, not 1"),
    ({"predictor.models": {"paths": 1}}, "predictor.models.paths: must be a list of maps, not 1"),
    ({"predictor.models": {"dir": S3, "cache_size": 0, "disk_cache_size": 1}}, "predictor.models.cache_size: must be a whole number of "
     "at least 1, not 0"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), CONFLICTS)
def test_conflicts(complaints: Complaints, changes: dict[str, Any], expected: str) -> None:
    assert complaints(changes) == [f"iris.{expected}"]


def test_models_refuse_conflicts_by_themselves() -> None:
    data = with_fields({"autoscaling": {"min_replicas": 3, "max_replicas": 2}})
    with pytest.raises(ValidationError, match="min_replicas: 3 is more than max_replicas"):
        RealtimeApi.model_validate(data)


def test_models_are_frozen(load_api: LoadApi) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_api({}).name = "other"  # type: ignore[misc]


def test_tensorflow_takes_its_fields(load_api: LoadApi) -> None:
    fields = {
        "type": "tensorflow",
        "path": "predictor.py",
        "models": [{**ONE, "signature_key": "s"}],
        "signature_key": "k",
    }
    assert load_api({"predictor": fields}).predictor.signature_key == "k"


def test_conflicts_are_found_beside_wrong_fields(complaints: Complaints) -> None:
    changes = {
        "name": None,
        "predictor.path": None,
        "predictor.typo": 1,
        "compute": {"cpu": "1x", "gpu": 1, "inf": 1},
        "autoscaling": {"min_replicas": "x", "max_replicas": 0, "init_replicas": 9, "window": "15s"},
        "update_strategy": {"max_surge": 0, "max_unavailable": 0},
    }
    assert [complaint.split(": ")[0] for complaint in complaints(changes)] == [
        "[0].name",
        "[0].predictor.path",
        "[0].predictor.typo",
        "[0].compute.cpu",
        "[0].compute.inf",
        "[0].autoscaling.min_replicas",
        "[0].autoscaling.max_replicas",
        "[0].autoscaling.window",
        "[0].update_strategy.max_surge",
    ]


def entry(name: str, **fields: Any) -> str:
    networking = f"  networking: {{endpoint: {fields['endpoint']}}}\n" if "endpoint" in fields else ""
    return f"- name: {name}\n  kind: RealtimeAPI\n  predictor: {{type: python, path: predictor.py}}\n{networking}"


def splitter(name: str, **weights: Any) -> str:
    members = "".join(f"  - {{name: {member}, weight: {weight}}}\n" for member, weight in weights.items())
    return f"- name: {name}\n  kind: TrafficSplitter\n  apis:\n{members}"


def refused(load_text: LoadText, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    return [str(problem).split("cortex.yaml:")[1] for problem in caught.value.problems]


def test_several_entries(load_text: LoadText) -> None:
    config = load_text(entry("a") + entry("b") + splitter("s", a=30, b=70, elsewhere=0))
    assert [api.name for api in config.apis] == ["a", "b"]
    (found,) = config.splitters
    assert [(variant.name, variant.weight) for variant in found.apis] == [("a", 30), ("b", 70), ("elsewhere", 0)]
    assert found.networking.endpoint == "/s"
    assert type(found).model_validate(found.model_dump(mode="json")) == found
    assert config.warnings == ()


def test_names_and_endpoints_are_unique(load_text: LoadText) -> None:
    assert refused(load_text, entry("a") + entry("a")) == [
        "4:9: a.name: there is another entry named a (names must be unique)"
    ]
    assert refused(load_text, entry("a") + entry("b", endpoint="a/")) == [
        "7:26: b.networking.endpoint: /a is the endpoint of a already (choose another one)"
    ]
    assert refused(load_text, entry("a", endpoint="b") + entry("b")) == [
        "5:3: b.networking.endpoint: /b is the endpoint of a already (choose another one)"
    ]
    assert refused(load_text, entry("a") + splitter("a", x=50, y=50)) == [
        "4:9: a.name: there is another entry named a (names must be unique)"
    ]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"a": 100}, ["3:3: s.apis: must have two to five members, not 1"]),
        (dict.fromkeys("abcde", 0) | {"f": 100}, ["3:3: s.apis: must have two to five members, not 6"]),
        ({"a": 50, "b": 49}, ["3:3: s.apis: the weights must sum to 100, not 99"]),
        ({"a": 101, "b": -1}, ["4:23: s.apis[0].weight: must be a whole number from 0 to 100, not 101",
                               "5:23: s.apis[1].weight: must be a whole number from 0 to 100, not -1"]),
        ({"a": "'50'", "b": 50}, ['4:23: s.apis[0].weight: must be a whole number from 0 to 100, not "50"']),
        ({"s": 50, "b": 50}, ["4:12: s.apis[0].name: a splitter cannot be a member of itself"]),
        ({"A": 50, "b": 50}, ["4:12: s.apis[0].name: must be 1 to 42 characters from a-z 0-9 -, starting with a letter and not "
                              'ending with -, not "A"']),
    ],
)  # fmt: skip
def test_splitters(load_text: LoadText, weights: dict[str, Any], expected: list[str]) -> None:
    found = refused(load_text, splitter("s", **weights))
    assert found == expected


def test_members_are_unique(load_text: LoadText) -> None:
    text = splitter("s", a=50) + "  - {name: a, weight: 50}\n"
    assert refused(load_text, text) == [
        "5:12: s.apis[1].name: a is already a member (give one entry the sum of the weights)"
    ]


def test_members_are_apis(load_text: LoadText) -> None:
    text = splitter("s", t=50, x=50) + splitter("t", x=50, y=50)
    assert refused(load_text, text) == ["4:12: s.apis[0].name: t is a traffic splitter; members must be Realtime APIs"]


def test_splitter_without_members(load_text: LoadText) -> None:
    assert refused(load_text, "- name: s\n  kind: TrafficSplitter\n") == ["1:3: s.apis: is required (a list of maps)"]


FILES: list[tuple[dict[str, Any], str]] = [
    ({"predictor.path": "../x.py"}, "path: ../x.py leads out of the project"),
    ({"predictor.path": "/x.py"}, "path: /x.py must be relative, with / between its parts"),
    ({"predictor.path": "src\\x.py"}, "path: src\\x.py must be relative, with / between its parts"),
    ({"predictor.path": "s3://b/x.py"}, "path: 's3://b/x.py' is neither a path in the project nor on S3 (s3://bucket/path)"),
    ({"predictor.path": "link.py"}, "path: link.py is a link that leads out of the project"),
    ({"predictor.path": "folder.py"}, "path: folder.py is not a file"),
    ({"predictor.path": ".hidden.py"}, "path: .hidden.py is left out of the project (hidden, or in .cortexignore)"),
    ({"predictor.path": "lib/ignored.py"}, "path: lib/ignored.py is left out of the project (hidden, or in .cortexignore)"),
    ({"predictor.path": "predictor.txt"}, "path: predictor.txt is not a Python file (.py)"),
    ({"predictor.path": "missing.pickle"}, "path: missing.pickle does not exist in {root}"),
    ({"predictor.python_path": "lib"}, "python_path: lib is left out of the project (hidden, or in .cortexignore)"),
    ({"predictor.python_path": "predictor.py"}, "python_path: predictor.py is not a folder"),
    ({"predictor.warmup": "src"}, "warmup: src is not a file"),
    (
        {"predictor.warmup": "words.json"},
        "warmup: words.json, the sample request, is not JSON: Expecting value: line 1 column 1 (char 0)"
        " (warmup: false starts replicas without it)",
    ),
    ({"predictor.model_path": "nothing"}, "model_path: nothing does not exist in {root}"),
    ({"predictor.model_path": "gs://b/m"}, "model_path: 'gs://b/m' is neither a path in the project nor on S3 (s3://bucket/path)"),
    ({"predictor.model_path": "s3://"}, "model_path: s3:// is not a path on S3 (s3://bucket/path)"),
    ({"predictor.models": {"dir": "/models"}}, "models.dir: /models must be relative, with / between its parts"),
    ({"predictor.models": [{"name": "a", "model_path": "no"}]}, "models[0].model_path: no does not exist in {root}"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), FILES)
def test_files(complaints: Complaints, project: Path, changes: dict[str, Any], expected: str) -> None:
    (project / "folder.py").mkdir()
    (project / ".hidden.py").write_text(SOURCE)
    (project / "lib").mkdir()
    (project / "lib" / "ignored.py").write_text(SOURCE)
    (project / ".cortexignore").write_text("lib/\n")
    (project / "link.py").symlink_to("/etc/passwd")
    (project / "words.json").write_text("words")
    text = expected.format(root=project)
    hint = "" if ".cortexignore" in text or "JSON" in text else " (paths are relative to the configuration file)"
    assert complaints(changes) == [f"iris.predictor.{text}{hint}"]


def test_models_in_the_project(load_api: LoadApi) -> None:
    assert load_api({"predictor.model_path": "model"}).predictor.model_path == "model"
    assert load_api({"predictor.model_path": "./model/"}).predictor.model_path == "./model/"


def test_problems_of_the_predictor_are_in_its_file(load_text: LoadText, project: Path) -> None:
    (project / "predictor.py").write_text("class PythonPredictor:\n    def predict(self, paylod): ...\n")
    with pytest.raises(ConfigError) as caught:
        load_text(entry("a") + entry("b") + "  compute: {cpu: 1x}\n")
    assert [(problem.file.name, problem.line) for problem in caught.value.problems] == [
        ("cortex.yaml", 7),
        ("predictor.py", 1),
        ("predictor.py", 2),
    ]


def test_files_are_checked_beside_wrong_fields(load_text: LoadText, project: Path) -> None:
    (project / "predictor.py").write_text("class PythonPredictor: ...")
    text = (
        "- name: a\n  kind: x\n  predictor: {type: python, path: predictor.py, warmup: no.json, typo: 1}\n"
        "- name: a\n  kind: RealtimeAPI\n  predictor: {type: x, path: missing.py}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    assert [(problem.path, problem.message.split(" ")[0]) for problem in caught.value.problems] == [
        ("a.kind", "must"),
        ("a.predictor.warmup", "no.json"),
        ("a.predictor.typo", "is"),
        ("a.name", "there"),
        ("a.predictor.type", "must"),
        ("a.predictor.path", "missing.py"),
        ("PythonPredictor", "has"),
        ("PythonPredictor", "has"),
    ]


def test_an_ignore_file_that_cannot_be_used(load_api: LoadApi, project: Path) -> None:
    (project / ".cortexignore").write_text("!")
    with pytest.raises(ProjectError, match=r"\.cortexignore"):
        load_api({})


def test_relative_paths(project: Path, load_api: LoadApi, monkeypatch: pytest.MonkeyPatch) -> None:
    load_api({})
    monkeypatch.chdir(project)
    for path in (Path("cortex.yaml"), Path()):
        config = load_config(path)
        assert (config.path, config.project_root) == (project / "cortex.yaml", project)


WARNINGS: list[tuple[dict[str, Any], str]] = [
    ({"networking.local_port": 9000}, "networking.local_port: is ignored"),
    ({"networking.api_gateway": "public"}, "networking.api_gateway: is ignored"),
    ({"autoscaling.window": "60s"}, "autoscaling.window: is ignored"),
    ({"autoscaling.max_upscale_factor": 2}, "autoscaling.max_upscale_factor: is ignored"),
    ({"autoscaling.max_downscale_factor": 0.5}, "autoscaling.max_downscale_factor: is ignored"),
    ({"autoscaling.upscale_tolerance": 0.1}, "autoscaling.upscale_tolerance: is ignored"),
    ({"autoscaling.downscale_tolerance": 0.1}, "autoscaling.downscale_tolerance: is ignored"),
    ({"compute.cpu": None}, "compute.cpu: ECS needs a CPU share"),
    ({"predictor.image": "quay.io/cortexlabs/python-predictor-cpu:0.23.0"}, "predictor.image: is ignored"),
    (
        {
            "predictor": {
                "type": "tensorflow",
                "path": "predictor.py",
                "model_path": S3,
                "tensorflow_serving_image": "x",
            }
        },
        "predictor.tensorflow_serving_image: is ignored",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), WARNINGS)
def test_warnings(load_text: LoadText, changes: dict[str, Any], expected: str) -> None:
    config = load_text(yaml.safe_dump([with_fields(changes)]))
    (warning,) = config.warnings
    assert str(warning).split(": ", 1)[1].startswith(f"iris.{expected}")
    assert warning.line
    assert "cortexlabs" not in (config.apis[0].predictor.image or "")


def test_no_warning_for_what_is_not_set(load_text: LoadText) -> None:
    assert load_text(entry("a")).warnings == ()


def test_splitters_have_warnings_too(load_text: LoadText) -> None:
    config = load_text(splitter("s", a=50, b=50) + "  networking: {api_gateway: none}\n")
    assert [warning.path for warning in config.warnings] == ["s.networking.api_gateway"]


def test_pickled_predictors(load_text: LoadText, project: Path) -> None:
    (project / "predictor.pickle").write_bytes(b"")
    config = load_text(entry("a").replace("predictor.py", "predictor.pickle"))
    assert [warning.path for warning in config.warnings] == ["a.predictor.path"]


def test_base_is_the_smallest_configuration(load_api: LoadApi) -> None:
    assert set(load_api({}).model_fields_set) == set(BASE)
