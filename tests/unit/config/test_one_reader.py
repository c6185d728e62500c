"""A file means the same to ``cortex-serve FOLDER`` and in a deployment; the order of what a user wrote is kept."""

# ruff: noqa: E501 - tables of values

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cortex_serving.settings import from_project
from cortex_serving.spec import parse_spec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_cdk.config import load_config
from cortex_cdk.config.serving_spec import serving_spec
from cortex_cdk.deploy.plan import revision_of
from tests.unit.config.conftest import LoadApi, LoadText

API = "- name: a\n  kind: RealtimeAPI\n  predictor:\n    type: python\n    path: predictor.py\n"

SCALARS = st.sampled_from(
    ["1e-5", "1:30", "2020-09-29", "yes", "n", "08", "0o17", "~", "null", "1.0", "-0.0", "'x'", "0.1", "1e16", "18446744073709551616", "text", "ä", "<<", "=", "[]", "{}"]
)  # fmt: skip
KEYS = st.sampled_from(["zebra", "a", "y", "config", "Ä", "env"])
FREE = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(KEYS, inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=8,
)
PREDICTOR: dict[str, st.SearchStrategy[str]] = {
    "config": st.dictionaries(KEYS, FREE, max_size=4).map(
        lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
    )
    | st.just("null"),
    "env": st.sampled_from(["null", "{}", "{B: 1:30, A: 2020-09-29}", "{A: '1', Z: y, B: ''}"]),
    "processes_per_replica": st.sampled_from(["2", "null", "0o2", "1_0"]),
    "threads_per_process": st.sampled_from(["3", "null"]),
    "python_path": st.sampled_from(["src", "src/", "null"]),
    "access_log": st.sampled_from(["0", "1e-1", "1", "null"]),
    "max_body_bytes": st.sampled_from(["1Mi", "1e6", "129e6", "1000000", "1.5G", "64k", "null"]),
    "startup_timeout": st.sampled_from(["90s", "1e3", "600", "10m", "null"]),
    "warmup": st.sampled_from(["true", "false", "no", "sample.json", "null"]),
    "server_side_batching": st.sampled_from(
        ["null"] + [f"{{max_batch_size: 4, batch_interval: {text}}}" for text in ("1", "0.5", "1.5s", "1h2m", "1µs", ".5s")]
        + [f"{{max_batch_size: 4, batch_interval: 1s, on_error: {text}}}" for text in ("split", "fail", "null")]
    ),
    "models": st.sampled_from(
        ["null", "[{name: m, model_path: model}]", "{dir: model}", "{paths: [{name: m, model_path: s3://bucket/m}]}"]
    ),
    "image": st.sampled_from(["null", "mine:1"]),
}  # fmt: skip
REST: dict[str, st.SearchStrategy[str]] = {
    "networking": st.sampled_from(["null", "{endpoint: x/y/}", "{endpoint: null}"]),
    "monitoring": st.sampled_from(["null", "{model_type: regression}", "{model_type: classification, key: label}"]),
    "autoscaling": st.sampled_from(["null", "{max_replica_concurrency: 77}", "{max_replicas: 3, window: 1m}"]),
    "compute": st.sampled_from(["null", "{cpu: 1e0, mem: 4G}", "{mem: 3129e6}", "{mem: null}"]),
}


def text_of(predictor: dict[str, str], rest: dict[str, str]) -> str:
    return (
        API
        + "".join(f"    {name}: {value}\n" for name, value in predictor.items())
        + "".join(f"  {name}: {value}\n" for name, value in rest.items())
    )


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    predictor=st.fixed_dictionaries({}, optional=PREDICTOR),
    rest=st.fixed_dictionaries({}, optional=REST),
)
def test_both_read_a_file_alike(
    load_text: LoadText, project: Path, predictor: dict[str, str], rest: dict[str, str]
) -> None:
    (api,) = load_text(text_of(predictor, rest)).apis
    deployed = parse_spec(json.loads(serving_spec(api, api.networking.endpoint)))
    alone = from_project(project, None, None, "127.0.0.1:0", {})
    assert alone.spec == deployed
    assert json.dumps(alone.spec.predictor.config) == json.dumps(deployed.predictor.config)  # the same order, too
    assert list(alone.variables.items()) == list(api.predictor.env.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b\n", "is written twice"),
        (API.replace("kind: RealtimeAPI", "x: y"), "holds no entry with kind: RealtimeAPI"),
        (API + "    env: {A: 1}\n", "predictor.env.A must be text: put numbers, true and false in quotes"),
        (API + "    env: {CORTEX_API: a}\n", "predictor.env.CORTEX_API is reserved"),
        (API + "    threads_per_process: 2.5\n", "threads_per_process is 2.5: give a whole number"),
        (API + "    threads_per_process: '2'\n", "threads_per_process is '2': give a whole number"),
        (
            API + "    server_side_batching: {max_batch_size: 2, batch_interval: 1s, on_error: no}\n",
            "on_error is False",
        ),
        (API + "    max_body_bytes: 1x\n", "max_body_bytes is '1x': write it like 64Mi"),
        (API + "    config: {a: .nan}\n", "must be a finite number"),
        (API + "    config: {1: a}\n", "the key '1' is not text"),
    ],
)
def test_both_refuse(project: Path, text: str, said: str) -> None:
    (project / "cortex.yaml").write_text(text)
    with pytest.raises(Exception, match="") as alone:
        from_project(project, None, None, "127.0.0.1:0", {})
    assert said in str(alone.value)
    with pytest.raises(Exception, match=""):
        load_config(project)


def ordered(config: dict[str, Any]) -> str:
    return yaml.safe_dump([{"name": "a", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py", "config": config}}], sort_keys=False)  # fmt: skip


def test_order_reaches_the_predictor_and_is_a_change(load_text: LoadText) -> None:
    labels = {"setosa": 0.5, "versicolor": 0.6, "albatros": 0.7}
    other = dict(sorted(labels.items()))
    (first,) = load_text(ordered({"classes": labels, "a": 1})).apis
    (second,) = load_text(ordered({"classes": other, "a": 1})).apis
    given = json.loads(serving_spec(first, "/a"))["predictor"]["config"]
    assert (list(given), list(given["classes"])) == (["classes", "a"], list(labels))
    assert revision_of(first, "project", "image") != revision_of(second, "project", "image")
    assert revision_of(first, "project", "image") == revision_of(first, "project", "image")


@pytest.mark.parametrize("written", [None, 600, "10m"])
def test_the_usual_time_to_start_replaces_no_replica(load_api: LoadApi, written: object) -> None:
    """A specification that says what every replica does anyway would make a new revision of every API."""
    api = load_api({"predictor.startup_timeout": written} if written else {})
    assert "startup_timeout" not in json.loads(serving_spec(api, "/a"))["predictor"]
    assert parse_spec(json.loads(serving_spec(api, "/a"))).predictor.startup_timeout == 600


def test_another_time_to_start_reaches_the_replica(load_api: LoadApi) -> None:
    api = load_api({"predictor.startup_timeout": "90s"})
    assert parse_spec(json.loads(serving_spec(api, "/a"))).predictor.startup_timeout == 90
