"""Files of every version of the original Cortex load, or one sentence says what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cortex_serving.settings import from_project

from cortex_cdk.config import Config, TrafficSplitter, load_config
from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import SOURCE, LoadText

HANDLERS = """
class Handler:
    def __init__(self, config): ...
    def handle_post(self, payload, query_params): ...
"""
MODEL_HANDLER = """
class Handler:
    def __init__(self, model_client, config): ...
    def load_model(self, model_path): ...
    def handle_post(self, payload, headers): ...
"""
TENSORFLOW_HANDLER = """
class Handler:
    def __init__(self, tensorflow_client, config): ...
    def handle_post(self, payload): ...
"""
PYTHON = {"type": "python", "path": "predictor.py"}
S3 = "s3://bucket/model"


def api(predictor: dict[str, Any] | None = None, section: str = "predictor", **rest: Any) -> dict[str, Any]:
    return {"name": "iris", "kind": "RealtimeAPI", section: {**PYTHON, **(predictor or {})}, **rest}


def load(project: Path, *entries: dict[str, Any], source: str = SOURCE) -> Config:
    (project / "predictor.py").write_text(source)
    (project / "cortex.yaml").write_text(yaml.safe_dump(list(entries), sort_keys=False))
    return load_config(project)


def said(config: Config) -> list[str]:
    return [f"{warning.path}: {warning.message}" for warning in config.warnings]


def test_018_had_no_kind(project: Path) -> None:
    entry = api(compute={"cpu": 1}, monitoring={"model_type": "regression"})
    del entry["kind"]
    config = load(project, entry)
    assert [each.name for each in config.apis] == ["iris"]
    assert said(config) == ["iris.kind: is missing: RealtimeAPI is meant, as in Cortex 0.18"]


@pytest.mark.parametrize("kind", ["python", "onnx", "tensorflow"])
@pytest.mark.parametrize("field", ["models", "multi_model_reloading"])
def test_models_path_is_model_path(project: Path, kind: str, field: str) -> None:
    config = load(project, api({"type": kind, field: {"path": S3}}))
    assert (config.apis[0].predictor.model_path, config.apis[0].predictor.models) == (S3, None)
    assert said(config) == []


def test_the_signature_and_the_cache_of_an_only_model(project: Path) -> None:
    models = {"path": S3, "signature_key": "predict", "cache_size": 1, "disk_cache_size": 2}
    config = load(project, api({"type": "tensorflow", "models": models}))
    assert (config.apis[0].predictor.model_path, config.apis[0].predictor.signature_key) == (S3, "predict")
    assert [text.partition(":")[0] for text in said(config)] == [
        "iris.predictor.models.cache_size",
        "iris.predictor.models.disk_cache_size",
    ]


@pytest.mark.parametrize("field", ["models", "multi_model_reloading"])
def test_paths_and_dir(project: Path, field: str) -> None:
    paths = [{"name": "a", "path": S3}, {"name": "b", "model_path": S3}]
    models = (
        load(project, api({field: {"paths": paths, "cache_size": 1, "disk_cache_size": 2}})).apis[0].predictor.models
    )
    assert models is not None
    assert models.paths is not None
    assert [(model.name, model.model_path) for model in models.paths] == [("a", S3), ("b", S3)]
    models = load(project, api({field: {"dir": "s3://bucket/models/"}})).apis[0].predictor.models
    assert models is not None
    assert models.dir == "s3://bucket/models/"


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        (HANDLERS, {}),
        (MODEL_HANDLER, {"multi_model_reloading": {"path": S3}}),
        (TENSORFLOW_HANDLER, {"type": "tensorflow", "models": {"path": S3}}),
    ],
)
@pytest.mark.parametrize("section", ["handler", "predictor"])
def test_handlers(project: Path, section: str, source: str, fields: dict[str, Any]) -> None:
    config = load(project, api(fields, section), source=source)
    assert config.apis[0].predictor.type == fields.get("type", "python")
    assert said(config) == []


def test_fields_that_have_a_meaning(project: Path) -> None:
    dependencies = {"pip": "requirements.txt", "conda": "./conda-packages.txt", "shell": "dependencies.sh"}
    predictor = (
        load(project, api({"log_level": "debug", "shm_size": "64Mi", "dependencies": dependencies})).apis[0].predictor
    )
    assert (predictor.log_level, predictor.shm_size) == ("debug", 64 * 2**20)


def test_the_target_of_later_versions(project: Path) -> None:
    scaling = load(project, api(autoscaling={"target_in_flight": 3})).apis[0].autoscaling
    assert scaling.target_replica_concurrency == 3


def test_fields_that_are_null_count_as_not_set(project: Path) -> None:
    fields = dict.fromkeys(
        ["models", "multi_model_reloading", "dependencies", "log_level", "shm_size", "protobuf_path"]
    )
    assert load(project, api(fields), {**api({"models": {"path": None, "dir": "model"}}), "name": "b"}).warnings == ()


def test_node_groups_are_ignored(project: Path) -> None:
    config = load(project, api(compute={"node_groups": ["gpu"]}), api({}, name="b", node_groups=["cpu"]))
    assert [text.partition(":")[0] for text in said(config)] == ["iris.compute.node_groups", "b.node_groups"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_shadow_gets_no_requests(project: Path, place: int) -> None:
    members: list[dict[str, Any]] = [{"name": "a", "weight": 30}, {"name": "b", "weight": 70, "shadow": False}]
    members.insert(place, {"name": "c", "weight": 100, "shadow": True})
    config = load(project, {"name": "s", "kind": "TrafficSplitter", "apis": members})
    (splitter,) = config.splitters
    assert [(variant.name, variant.weight) for variant in splitter.apis] == [("a", 30), ("b", 70)]
    assert said(config) == [
        f"s.apis[{place}] (c, shadow): is left out: a load balancer of AWS cannot send copies of requests, "
        "so it gets none of them"
    ]
    assert isinstance(splitter, TrafficSplitter)


POD = {"port": 8080, "max_concurrency": 1, "containers": [{"name": "api", "image": "a/b"}]}
NO_POD = (
    "iris.pod: is of Cortex 0.36 and later, which ran containers: here a Predictor class answers requests "
    "(write predictor with type and path, and your model's code into a class)"
)
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "pod": (
        {"name": "iris", "kind": "RealtimeAPI", "pod": POD, "autoscaling": {"target_in_flight": 1}},
        SOURCE,
        NO_POD,
    ),
    "async": (
        {"name": "iris", "kind": "AsyncAPI", "handler": PYTHON},
        SOURCE,
        "iris.kind: AsyncAPI is not supported; allowed are RealtimeAPI or TrafficSplitter "
        "(write RealtimeAPI and let clients wait, or keep results in a store of your own)",
    ),
    "task": (
        {"name": "iris", "kind": "TaskAPI", "definition": {"path": "task.py"}},
        SOURCE,
        "iris.kind: TaskAPI is not supported; allowed are RealtimeAPI or TrafficSplitter "
        "(keep tasks in a file of their own, and run them with AWS Batch or ECS)",
    ),
    "batch": (
        {"name": "iris", "kind": "BatchAPI", "pod": POD},
        SOURCE,
        "iris.kind: BatchAPI is not supported; allowed are RealtimeAPI or TrafficSplitter "
        "(keep batch jobs in a file of their own)",
    ),
    "grpc": (
        api({"protobuf_path": "iris.proto"}, "handler"),
        "class Handler:\n    def __init__(self, config, proto_module_pb2): ...\n    def Predict(self, payload): ...\n",
        "iris.predictor.protobuf_path: is of Cortex's gRPC server, which is not here: APIs answer HTTP "
        "(remove it, and answer JSON or bytes)",
    ),
    "pip": (
        api({"dependencies": {"pip": "other.txt", "conda": None}}),
        SOURCE,
        "iris.predictor.dependencies.pip: must be requirements.txt: all APIs of a file share the dependencies of its "
        "folder (name other.txt in requirements.txt, with a line '-r other.txt')",
    ),
    "shell": (
        api({"dependencies": {"shell": "setup.sh"}}),
        SOURCE,
        "iris.predictor.dependencies.shell: must be dependencies.sh: all APIs of a file share the dependencies of its "
        "folder (rename setup.sh to dependencies.sh)",
    ),
    "both names of models": (
        api({"models": {"dir": "s3://bucket/models"}, "multi_model_reloading": {"dir": "s3://bucket/models"}}),
        SOURCE.replace("python_client=None", "python_client"),
        "iris.predictor.multi_model_reloading: is the name of models in Cortex 0.25 to 0.35 (keep one of them)",
    ),
    "one path and several": (
        api({"models": {"path": S3, "paths": [{"name": "a", "path": S3}]}}),
        SOURCE,
        "iris.predictor.models.path: cannot be used together with models.paths (keep one of them)",
    ),
    "one path and a folder": (
        api({"models": {"path": S3, "dir": S3}}),
        SOURCE,
        "iris.predictor.models.path: cannot be used together with models.dir (keep one of them)",
    ),
    "dependencies": (
        api({"dependencies": "requirements.txt"}),
        SOURCE,
        "iris.predictor.dependencies: must be a map of pip, conda and shell "
        "(remove it: requirements.txt, conda-packages.txt, dependencies.sh count)",
    ),
    "shadow": (
        {
            "name": "s",
            "kind": "TrafficSplitter",
            "apis": [{"name": "a", "weight": 50, "shadow": "no"}, {"name": "b", "weight": 50}],
        },
        SOURCE,
        "s.apis[0].shadow: must be true or false (remove it: shadows get no requests)",
    ),
    "only a shadow beside": (
        {
            "name": "s",
            "kind": "TrafficSplitter",
            "apis": [{"name": "a", "weight": 100}, {"name": "b", "weight": 1, "shadow": True}],
        },
        SOURCE,
        "s.apis: has one member without its shadow, and a load balancer of AWS cannot send copies of requests "
        "(call this member itself, or name another one)",
    ),
    "handler and predictor": (
        {**api(), "handler": PYTHON},
        SOURCE,
        "iris.handler: is the name of predictor in Cortex 0.34 and 0.35 (keep one of them)",
    ),
    "another method": (
        api({}, "handler"),
        HANDLERS + "    def handle_get(self): ...\n",
        "Handler.handle_get: is never called: requests come by POST, and GET describes the API "
        "(do its work in handle_post)",
    ),
    "metrics client": (
        api({}, "handler"),
        HANDLERS.replace("self, config", "self, config, metrics_client"),
        "Handler.__init__: takes metrics_client, which is never passed; allowed are config, job_spec, model_client "
        "(metrics of your own are not here: log what you measure)",
    ),
    "no method": (
        api({}, "handler"),
        "class Handler:\n    def __init__(self, config): ...\n",
        "Handler: has no method handle_post (define handle_post(self, payload))",
    ),
    "level": (
        api({"log_level": "warn"}),
        SOURCE,
        'iris.predictor.log_level: must be debug, info, warning or error, not "warn" (did you mean warning?)',
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_sentence_says_what_to_write_instead(project: Path, case: str) -> None:
    entry, source, message = REFUSED[case]
    with pytest.raises(ConfigError) as refused:
        load(project, entry, source=source)
    (problem,) = refused.value.problems
    assert str(problem).split(": ", 1)[1] == message
    assert problem.line


def test_other_entries_are_checked_too(load_text: LoadText) -> None:
    with pytest.raises(ConfigError) as refused:
        load_text(
            "- name: a\n  kind: RealtimeAPI\n  pod: {port: 8080}\n"
            "- name: b\n  kind: RealtimeAPI\n  handler: {type: python, path: no.py}\n"
        )
    assert [problem.path for problem in refused.value.problems] == ["a.pod", "b.predictor.path"]
    assert [(problem.line, problem.column) for problem in refused.value.problems] == [(3, 3), (6, 33)]


OLD = [
    api({"models": {"path": "model"}}),
    api({"multi_model_reloading": {"paths": [{"name": "m", "path": "model"}], "cache_size": 1, "disk_cache_size": 1}}),
    api({"log_level": "warning", "shm_size": "1Gi", "dependencies": {"pip": "requirements.txt"}}, "handler"),
    {name: value for name, value in api({"threads_per_process": 2}).items() if name != "kind"},
]


@pytest.mark.parametrize("entry", OLD)
def test_cortex_serve_reads_old_files_alike(project: Path, entry: dict[str, Any]) -> None:
    (deployed,) = load(project, entry).apis
    alone = from_project(project, None, None, "127.0.0.1:0", {}).spec.predictor
    assert alone.log_level == deployed.predictor.log_level
    assert alone.threads == deployed.predictor.threads_per_process
    assert (alone.models is not None) == deployed.predictor.has_models


@pytest.mark.parametrize("case", ["pod", "grpc", "pip"])
def test_cortex_serve_says_the_same(project: Path, case: str) -> None:
    entry, _, message = REFUSED[case]
    (project / "cortex.yaml").write_text(yaml.safe_dump([entry], sort_keys=False))
    with pytest.raises(Exception, match="iris") as alone:
        from_project(project, None, None, "127.0.0.1:0", {})
    assert message in str(alone.value)
