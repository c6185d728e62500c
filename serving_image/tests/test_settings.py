"""What a replica is told from outside: what cannot be used is refused with one line, before anything starts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cortex_serving.settings import Http, from_environment
from tests.conftest import SERVE, running, write_project

PREDICTOR = {"type": "python", "path": "predictor.py"}
CODE = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload): return payload
"""


def _spec(**predictor: Any) -> str:
    return json.dumps({"name": "api", "predictor": {**PREDICTOR, **predictor}})


REFUSED = [
    ("CORTEX_STOP_TIMEOUT", "soon", "CORTEX_STOP_TIMEOUT is 'soon': give seconds, such as 30"),
    *(("CORTEX_STOP_TIMEOUT", value, "give seconds") for value in ("nan", "inf", "-1", "1e999", "30s", "0x1")),
    ("CORTEX_HTTP", "warp", "CORTEX_HTTP is 'warp': write fast or stock"),
    ("CORTEX_HTTP", "-epoll", "write fast or stock"),
    *(
        ("CORTEX_LISTEN", value, "write HOST:PORT")
        for value in ("8888", "127.0.0.1:", ":1", "127.0.0.1:65536", "127.0.0.1:²", "a:-1", "a:" + "9" * 5000)
    ),
    ("CORTEX_LISTEN", "nowhere.invalid:80", "cannot listen on nowhere.invalid:80"),
    ("CORTEX_PROJECT", "", "CORTEX_PROJECT is not set"),
    ("CORTEX_SPEC", "", "CORTEX_SPEC is not set"),
    ("CORTEX_SPEC", "{", "CORTEX_SPEC is not JSON"),
    ("CORTEX_SPEC", "[" * 100_000, "CORTEX_SPEC is not JSON"),
    ("CORTEX_SPEC", "[]", "CORTEX_SPEC is a JSON list: give an object"),
    ("CORTEX_SPEC", "7", "CORTEX_SPEC is a JSON int: give an object"),
    ("CORTEX_SPEC", "{}", "predictor.type is missing"),
    ("CORTEX_SPEC", '{"predictor": 7}', "predictor is 7"),
    ("CORTEX_SPEC", _spec(type="java"), "predictor.type is 'java'"),
    ("CORTEX_SPEC", _spec(type=["python"]), "predictor.type is ['python']"),
    ("CORTEX_SPEC", _spec(path=7), "predictor.path is 7"),
    *(
        ("CORTEX_SPEC", _spec(**{name: value}), f"{name} is {value!r}: give a whole number, 1 or more")
        for name in ("processes_per_replica", "threads_per_process")
        for value in ("x", -1, 1.5, [2], 1e999)
    ),
    ("CORTEX_SPEC", _spec(server_side_batching=7), "does not make sense"),
    ("CORTEX_SPEC", _spec(server_side_batching={}), "max_batch_size"),
    ("CORTEX_SPEC", _spec(server_side_batching={"max_batch_size": 0, "batch_interval": "1s"}), "1 or more"),
    (
        "CORTEX_SPEC",
        _spec(server_side_batching={"max_batch_size": 4, "batch_interval": "soon"}),
        "write it like 10ms",
    ),
    ("CORTEX_SPEC", _spec(server_side_batching={"max_batch_size": 4, "batch_interval": -1}), "-1: write it like 10ms"),
    ("CORTEX_SPEC", _spec(max_body_bytes="large"), "max_body_bytes is 'large': write it like 64Mi"),
    ("CORTEX_SPEC", _spec(access_log="all"), "does not make sense"),
    ("CORTEX_SPEC", _spec(models=7), "does not make sense"),
    ("CORTEX_SPEC", json.dumps({"predictor": PREDICTOR, "max_replica_concurrency": "many"}), "max_replica_concurrency"),
    ("CORTEX_SPEC", json.dumps({"predictor": PREDICTOR, "autoscaling": 7}), "does not make sense"),
    ("CORTEX_SPEC", json.dumps({"predictor": PREDICTOR, "monitoring": 7}), "does not make sense"),
]


def _environ(project: Path) -> dict[str, str]:
    write_project(project, CODE)
    return {"CORTEX_SPEC": _spec(), "CORTEX_PROJECT": str(project), "CORTEX_LISTEN": "127.0.0.1:0"}


@pytest.mark.parametrize(("name", "value", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_used_is_refused_with_one_line(tmp_path: Path, name: str, value: str, reason: str) -> None:
    environ = {**os.environ, **_environ(tmp_path / "project"), name: value}
    done = subprocess.run(SERVE, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("cortex-serve: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""


def test_a_standalone_run_refuses_a_way_of_http_that_does_not_exist(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", CODE)
    environ = {**os.environ, "CORTEX_HTTP": "quick"}
    done = subprocess.run([*SERVE, str(project)], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, "cortex-serve: CORTEX_HTTP is 'quick': write fast or stock\n")


@pytest.mark.parametrize(("value", "seconds"), [("", 30.0), ("5", 5.0), ("0", 0.0), ("2.5", 2.5)])
def test_the_stop_timeout(tmp_path: Path, value: str, seconds: float) -> None:
    assert from_environment({**_environ(tmp_path), "CORTEX_STOP_TIMEOUT": value}).stop_timeout == seconds


def test_http_is_fast_unless_told_otherwise(tmp_path: Path) -> None:
    environ = _environ(tmp_path)
    assert from_environment(environ).http is from_environment({**environ, "CORTEX_HTTP": ""}).http is Http.FAST
    assert from_environment({**environ, "CORTEX_HTTP": "stock"}).http is Http.STOCK


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_both_ways_of_http_serve(tmp_path: Path, mode: str) -> None:
    with running([], {**_environ(tmp_path / "project"), "CORTEX_HTTP": mode}) as replica:
        assert replica.post({"a": 1}).json() == {"a": 1}
        assert replica.stop() == 0


CODE_WITH_SECRETS = """
import os

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload): return [os.environ["TOKEN"], os.environ["OTHER"]]
"""


def test_a_standalone_run_names_the_secrets_that_have_no_value(tmp_path: Path) -> None:
    secrets = {"TOKEN": "my-secret", "OTHER": "prod/db:password", "LAST": "ssm:/a"}
    project = write_project(tmp_path / "project", CODE_WITH_SECRETS, secrets=secrets)
    environ = {**os.environ, "OTHER": "given"}
    done = subprocess.run([*SERVE, str(project)], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "predictor.secrets has variables without a value: TOKEN, LAST: " in done.stderr
    assert "takes the values from its own environment or from .env" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_standalone_run_takes_secrets_from_its_own_environment_and_from_the_env_file(tmp_path: Path) -> None:
    secrets = {"TOKEN": "my-secret", "OTHER": "prod/db:password"}
    project = write_project(tmp_path / "project", CODE_WITH_SECRETS, secrets=secrets)
    (project / ".env").write_text("OTHER=of the file\n")
    with running([str(project), "--listen", "127.0.0.1:0"], {"TOKEN": "of the environment"}) as replica:
        assert replica.post({}).json() == ["of the environment", "of the file"]
        assert replica.stop() == 0
