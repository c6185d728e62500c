"""Projects of many versions of the original load as they are, and answer as their code implies, in one local cloud.

Each folder is a project. For speed all of them are deployed together: as one project with a folder for each, whose
configuration has every entry of theirs, with the paths changed and nothing else.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cortex_cdk.config import load_config
from tests.compatibility.onnx_models import MODELS
from tests.conftest import Cortex

HERE = Path(__file__).parent
PROJECTS = sorted(path.parent.name for path in HERE.glob("projects/*/cortex.yaml"))
TENSORFLOW = sorted(path.parent.name for path in HERE.glob("tensorflow/*/cortex.yaml"))
# What the images of the original had, as far as the projects use it.
REQUIREMENTS = "fastapi\nnumpy\nonnxruntime\n"
# Each file's own warnings: fields that ECS cannot honour, and a kind that was not there yet.
WARNINGS = {
    "0.18-onnx-file": ["kind"],
    "0.18-iris": ["kind"],
    "0.18-word-scores": ["kind"],
    "0.19-after-the-answer": ["networking.local_port", "networking.api_gateway"],
    "0.24-autoscaling": [
        "networking.api_gateway",
        "autoscaling.window",
        "autoscaling.max_downscale_factor",
        "autoscaling.max_upscale_factor",
        "autoscaling.downscale_tolerance",
        "autoscaling.upscale_tolerance",
    ],
    "0.31-shadow": ["apis[1] (recorder, shadow)"],
}


def saved_models(projects: Path) -> None:
    for path, save in MODELS.items():
        if (projects / path.partition("/")[0]).is_dir():
            save(projects / path)


@pytest.mark.parametrize("name", PROJECTS)
def test_the_file_loads_as_it_is(tmp_path: Path, name: str) -> None:
    shutil.copytree(HERE / "projects" / name, tmp_path / name)
    saved_models(tmp_path)
    warnings = load_config(tmp_path / name).warnings
    assert [warning.path.partition(".")[2] for warning in warnings] == WARNINGS.get(name, [])


@pytest.mark.parametrize("name", TENSORFLOW)
def test_the_file_of_a_tensorflow_project_loads_as_it_is(tmp_path: Path, name: str) -> None:
    shutil.copytree(HERE / "tensorflow" / name, tmp_path / name)
    (entry,) = yaml.safe_load((tmp_path / name / "cortex.yaml").read_text())
    for where, field in paths(entry):
        if not where[field].endswith(".py"):
            (tmp_path / name / where[field]).mkdir(parents=True)
    warnings = load_config(tmp_path / name).warnings
    assert [warning.path.partition(".")[2] for warning in warnings] == WARNINGS.get(name, [])


def paths(entry: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield where an entry has paths in the project, as maps and the fields in them."""
    section = entry.get("predictor") or entry.get("handler") or {}
    models = section.get("models") or section.get("multi_model_reloading") or {}
    lists = models if isinstance(models, list) else models.get("paths", [])
    for where in (section, models, *lists):
        for field in ("path", "model_path", "python_path", "dir"):
            if isinstance(where, dict) and field in where:
                yield where, field


def moved(entry: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return an entry of a project's file, for the file of the folder above."""
    for where, field in paths(entry):
        where[field] = f"{folder}/{where[field]}"
    return entry


@pytest.fixture(scope="module")
def base_url(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where all projects answer."""
    together = tmp_path_factory.mktemp("together") / "project"
    shutil.copytree(HERE / "projects", together)
    saved_models(together)
    files = {name: yaml.safe_load((together / name / "cortex.yaml").read_text()) for name in PROJECTS}
    entries = [moved(entry, name) for name, file in files.items() for entry in file]
    (together / "cortex.yaml").write_text(yaml.safe_dump(entries, sort_keys=False))
    (together / "requirements.txt").write_text(REQUIREMENTS)
    deployed = json.loads(cortex.ok("deploy", str(together), "--yes", "-o", "json"))
    yield deployed[0]["endpoint"].rpartition("/")[0]


def asked(base_url: str, api: str, request: dict[str, Any]) -> Any:
    """Send a request of ``requests.json``; return what the request expects, of what came."""
    options: dict[str, Any] = {name: request[name] for name in ("headers", "data") if name in request}
    if "json" in request:
        options["data"] = json.dumps(request["json"])
        options["headers"] = {"Content-Type": "application/json", **request.get("headers", {})}
    if "body" in request:
        options["data"] = request["body"].encode()
    if "files" in request:
        options["files"] = {name: tuple(parts) for name, parts in request["files"].items()}
    url = f"{base_url}/{request.get('api', api)}{request.get('query', '')}"
    answer = requests.post(url, timeout=30, **options)
    got: dict[str, Any] = {"status": answer.status_code}
    if "answer" in request:
        is_json = answer.headers["Content-Type"].startswith("application/json")
        got["answer"] = answer.json() if is_json else answer.text
    if "text" in request:
        got["text"] = answer.text
    if "content_type" in request:
        got["content_type"] = answer.headers["Content-Type"]
    return got


def expected(request: dict[str, Any]) -> dict[str, Any]:
    fields = {name: request[name] for name in ("answer", "text", "content_type") if name in request}
    return {"status": request.get("status", 200), **fields}


@pytest.mark.parametrize("name", PROJECTS)
def test_it_answers_as_its_code_implies(base_url: str, name: str) -> None:
    folder = HERE / "projects" / name
    api = yaml.safe_load((folder / "cortex.yaml").read_text())[0]["name"]
    cases: list[dict[str, Any]] = json.loads((folder / "requests.json").read_text())
    for request in cases:
        deadline = time.monotonic() + (30 if request.get("eventually") else 0)
        while (got := asked(base_url, api, request)) != expected(request) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert got == expected(request), request


def test_requests_at_the_same_time_are_batched_in_order(base_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: asked(base_url, "batches", {"json": n, "answer": 0}), range(40)))
    assert [answer["answer"] for answer in answers] == [n * n for n in range(40)]
