"""``cortex validate``: what is found without a cloud, and what is said of a project that can be deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.templates import start_project, templates
from tests.conftest import Cortex
from tests.json_output import read_json

PREDICTOR = "class PythonPredictor:\n    def __init__(self, config): ...\n    def predict(self, payload): ...\n"
CONFIG = """
- name: flower
  kind: RealtimeAPI
  predictor: {type: python, path: predictor.py}
"""


@pytest.fixture
def cortex(tmp_path: Path) -> Cortex:
    return Cortex(tmp_path / "home")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "cortex.yaml").write_text(CONFIG)
    (folder / "predictor.py").write_text(PREDICTOR)
    return folder


def found(cortex: Cortex, folder: Path, *options: str, code: int = 0) -> Any:
    done = cortex.run("validate", "-o", "json", *options, cwd=folder)
    assert done.returncode == code, done.stderr
    value = read_json("validate", done.stdout)
    assert value["valid"] is (code == 0)
    # People are told the same.
    assert all(problem["message"] in done.stderr for problem in (*value["errors"], *value["warnings"]))
    # Neither a cloud nor a list of environments was made.
    assert not cortex.home.exists()
    return value


def test_it_says_what_would_be_deployed(cortex: Cortex, tmp_path: Path) -> None:
    folder = start_project(templates()["onnx"], tmp_path / "digits").folder
    printed = cortex.ok("validate", "digits", cwd=tmp_path)
    assert printed.splitlines() == [
        "digits (RealtimeAPI): /digits, onnx predictor in predictor.py, 1 to 4 replicas of 0.5 CPU, 512 MiB",
        "project: 4 files, 10.6 KiB: model/digits.onnx, predictor.py, requirements.txt, sample.json",
        "image: numpy, onnxruntime>=1.17",
        "digits/cortex.yaml can be deployed",
    ]
    value = found(cortex, folder)
    assert {file["name"]: file["bytes"] for file in value["files"]} == {
        name: (folder / name).stat().st_size
        for name in ("model/digits.onnx", "predictor.py", "requirements.txt", "sample.json")
    }
    assert value["images"][0]["packages"] == ["numpy", "onnxruntime>=1.17"]


def test_everything_that_is_wrong_is_told_at_once(cortex: Cortex, project: Path) -> None:
    (project / "cortex.yaml").write_text(CONFIG + "  compute: {mems: 1Gi}\n")
    (project / "predictor.py").write_text(PREDICTOR.replace("payload", "request"))
    (project / "requirements.txt").write_text("numpy\nscikit learn\n-r more.txt\n")
    (project / ".python-version").write_text("3.8\n")
    (project / ".env").write_text("1A=b\n")
    (project / "gone").symlink_to("/nowhere")
    (project / "outside").symlink_to("/etc")
    value = found(cortex, project, code=1)
    places = {
        (error["file"], error["line"], error["field"] and error["field"].split(".")[-1]) for error in value["errors"]
    }
    assert places == {
        ("cortex.yaml", 5, "mems"),
        ("predictor.py", 3, "predict"),
        ("requirements.txt", 2, None),
        ("requirements.txt", 3, None),
        (".python-version", 1, None),
        (".env", 1, None),
        (".", None, None),
    }
    assert [error["message"].split(" leads ")[0] for error in value["errors"] if error["file"] == "."] == [
        "the link gone",
        "the link outside",
    ]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: (folder / "predictor.py").unlink(), "does not exist"),
        (lambda folder: (folder / "cortex.yaml").unlink(), "does not exist"),
        (lambda folder: (folder / "cortex.yaml").write_text("- [a"), "YAML"),
        (lambda folder: (folder / "sample.json").write_text("{"), "JSON"),
        (lambda folder: (folder / "link").symlink_to("/nowhere"), "leads nowhere"),
        (lambda folder: (folder / "model.pt").symlink_to("/etc/hosts"), "leads out of the project"),
        (lambda folder: (folder / ".cortexignore").write_text("predictor.py\n"), "left out"),
    ],
)
def test_what_deploy_would_refuse_is_an_error(cortex: Cortex, project: Path, break_it: Any, said: str) -> None:
    break_it(project)
    assert any(said in error["message"] for error in found(cortex, project, code=1)["errors"])


def test_a_pickle_of_what_a_notebook_defined_is_warned_of(cortex: Cortex, project: Path) -> None:
    (project / "model.pkl").write_bytes(b"\x80\x04\x8c\x08__main__\x94\x8c\tTokenizer\x94\x93\x94.")
    [warning] = found(cortex, project)["warnings"]
    assert warning["message"].startswith("needs Tokenizer, which a notebook or script has defined")


def test_strict_takes_warnings_for_errors(cortex: Cortex, project: Path) -> None:
    (project / "id_rsa").touch()
    (project / "cortex.yaml").write_text(CONFIG + "  networking: {local_port: 8000}\n")
    warnings = found(cortex, project)["warnings"]
    assert [warning["file"] for warning in warnings] == ["cortex.yaml", "id_rsa"]
    value = found(cortex, project, "--strict", code=1)
    assert (value["errors"], value["warnings"]) == (warnings, [])


def test_what_only_a_cluster_knows_is_left_to_deploy(cortex: Cortex, project: Path) -> None:
    (project / "cortex.yaml").write_text("""
- name: own
  kind: RealtimeAPI
  predictor: {type: python, path: predictor.py, image: "example.com/own:1", secrets: {TOKEN: hub, KEY: "ssm:/key"}}
- name: stored
  kind: RealtimeAPI
  predictor: {type: onnx, path: onnx.py, model_path: s3://bucket/digits}
  compute: {gpu: 1}
- name: both
  kind: TrafficSplitter
  apis: [{name: own, weight: 90}, {name: elsewhere, weight: 10}]
""")
    (project / "onnx.py").write_text(
        PREDICTOR.replace("PythonPredictor", "ONNXPredictor").replace("config)", "config, onnx_client)")
    )
    value = found(cortex, project)
    assert value["left_to_deploy"] == [
        "secret hub",
        "parameter /key",
        "models at s3://bucket/digits",
        "image example.com/own:1",
        "API elsewhere, of a traffic splitter",
    ]
    assert value["splitters"][0]["apis"] == [{"name": "own", "weight": 90}, {"name": "elsewhere", "weight": 10}]
    own, built = value["images"]
    assert (own["apis"], own["reference"], own["packages"]) == (["own"], "example.com/own:1", [])
    assert (built["apis"], built["reference"], built["gpu"]) == (["stored"], None, True)


def test_a_project_with_an_image_of_its_own_installs_nothing(cortex: Cortex, project: Path) -> None:
    (project / "cortex.yaml").write_text(CONFIG.replace("path:", "image: example.com/own:1, path:"))
    (project / "requirements.txt").write_text("this is none\n")
    assert found(cortex, project)["errors"] == []
