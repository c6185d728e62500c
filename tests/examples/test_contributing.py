"""CONTRIBUTING's examples of a new predictor type and a new command: each works as the only new file."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import ROOT

EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
API = {
    "name": "flower",
    "kind": "RealtimeAPI",
    "predictor": {"type": "joblib", "path": "predictor.py", "model_path": "model.joblib"},
}
PREDICTOR = """
class JoblibPredictor:
    def __init__(self, config, joblib_client):
        self.client = joblib_client

    def predict(self, payload):
        return self.client.get_model()[payload]
"""
CHECK = """
import sys
from pathlib import Path
from cortex_cdk.config import load_config
from cortex_cdk.errors import ConfigError
try:
    print(load_config(Path(sys.argv[1])).apis[0].predictor.kind.title)
except ConfigError as error:
    print(error.message)
"""


def with_new_file(tmp_path: Path, package: Path, name: str, text: str) -> dict[str, str]:
    """The environment of processes that have a copy of a package with one more file."""
    copy = tmp_path / "copy"
    shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / package.name / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return {**os.environ, "PYTHONPATH": str(copy), "CORTEX_HOME": str(tmp_path / "home")}


@pytest.fixture
def with_joblib(tmp_path: Path) -> dict[str, str]:
    example = next(text for text in EXAMPLES if "PredictorType(" in text)
    package = ROOT / "serving_image" / "cortex_serving"
    return with_new_file(tmp_path, package, "predictors/types/joblib.py", example)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "cortex.yaml").write_text(json.dumps([API]))
    save = "import joblib, sys; joblib.dump({'petals': 5}, sys.argv[1])"
    subprocess.run([sys.executable, "-c", save, folder / "model.joblib"], check=True)
    return folder


def checked(project: Path, environ: dict[str, str]) -> str:
    command = [sys.executable, "-c", CHECK, str(project)]
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_configuration_follows_from_a_new_predictor_type(project: Path, with_joblib: dict[str, str]) -> None:
    assert checked(project, with_joblib) == "Joblib"
    assert "predictor.type: must be onnx, python or tensorflow" in checked(project, dict(os.environ))
    (project / "predictor.py").write_text(PREDICTOR.replace(", joblib_client", "").replace("joblib_client", "None"))
    assert checked(project, with_joblib).endswith("JoblibPredictor.__init__: must take joblib_client")
    without = {**API, "predictor": {"type": "joblib", "path": "predictor.py"}}
    (project / "cortex.yaml").write_text(json.dumps([without]))
    assert "joblib predictors need model_path or models" in checked(project, with_joblib)


@contextlib.contextmanager
def served(project: Path, environ: dict[str, str]) -> Iterator[str]:
    """Where a replica of the project answers, once it is ready."""
    command = [sys.executable, "-m", "cortex_serving.cli", str(project), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=project, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        url = ""
        for line in process.stdout or ():
            record = json.loads(line)
            url = f"http://127.0.0.1:{record['port']}" if record.get("event") == "listening" else url
            if record.get("event") in ("ready", "fatal"):
                assert record["event"] == "ready", record
                break
        yield url
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_a_replica_serves_a_new_predictor_type(project: Path, with_joblib: dict[str, str]) -> None:
    with served(project, with_joblib) as url:
        answer = requests.post(f"{url}/flower", json="petals", timeout=30)
        assert (answer.status_code, answer.json()) == (200, 5)


def test_a_new_command_is_in_the_help(tmp_path: Path) -> None:
    example = next(text for text in EXAMPLES if "@click.command" in text)
    environ = with_new_file(tmp_path, ROOT / "cli" / "cortex_cli", "commands/address.py", example)

    def cortex(*arguments: str) -> str:
        command = [sys.executable, "-m", "cortex_cli.main", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True).stdout

    assert re.search(r"^Clusters:\n  address +Print the address of the cluster\.$", cortex("--help"), re.MULTILINE)
    assert cortex("addr", "--help").startswith("Usage: cortex address [OPTIONS]")


RESOURCE = '''
"""A service that nobody has thought of."""

from cortex_cdk.localcloud.cloudformation.resource import PutResource, Place, Properties


class Note(PutResource):
    type = "AWS::Notes::Note"

    def update(self, properties: Properties, place: Place) -> None: ...

    def delete(self, place: Place) -> None: ...
'''


def test_a_new_resource_type_registers_itself(tmp_path: Path) -> None:
    file = "localcloud/services/notes/resources.py"
    environ = with_new_file(tmp_path, ROOT / "cortex_cdk", file, RESOURCE)
    program = """
from cortex_cdk.localcloud.cloudformation.resource_lifecycle import class_of
from cortex_cdk.localcloud.services import register_resource_types
register_resource_types()
print(class_of("AWS::Notes::Note").__name__, class_of("AWS::EC2::RouteTable").__module__)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "Note cortex_cdk.localcloud.services.ec2.resources.network\n"
