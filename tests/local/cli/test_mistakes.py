"""What users do wrong before anything is deployed: each gives one line that says what, and what to do next.

Neither a cloud is started nor a file written.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import Cortex
from tests.local.cli.mistakes import CONFIG, GOLDEN, SPARSE, Mistake, commit, config, filled, predictor, write_files

SPLITTER = """\
- name: half
  kind: TrafficSplitter
  apis:
    - {name: a, weight: 50}
    - {name: b, weight: 40}
"""
MODELS = "    models: {paths: [{name: m, model_path: models/m}]}\n"

IAM_POLICIES = (
    "[AmazonS3ReadOnlyAccess, {effect: Allow, Action: s3:GetObject, Resource: s3://bucket/key}, "
    "{Effect: Allow, Action: ['s3:*', GetObject], Resource: '*', Condition: {StringIs: {aws:x: y}}}]"
)

CONFIGURATION = [
    Mistake("yaml-syntax", config("type: python", "type: python: 3")),
    Mistake("yaml-tab", config("    type", "\ttype")),
    Mistake("yaml-indentation", config("    path:", "   path:")),
    Mistake("yaml-duplicate-key", config("    path:", "    path: other.py\n    path:")),
    Mistake("not-utf-8", {"cortex.yaml": b"- name: caf\xe9\n"}),
    Mistake("empty-file", {"cortex.yaml": ""}),
    Mistake("not-a-list", {"cortex.yaml": "name: text\nkind: RealtimeAPI\n"}),
    Mistake("entry-is-text", {"cortex.yaml": "- text\n"}),
    Mistake("unknown-field", config("compute: {cpu", "compute: {cpus")),
    Mistake("unknown-section", config("compute:", "computer:")),
    Mistake(
        "unknown-field-of-an-item",
        config("    path:", "    models: [{name: a, model_path: predictor.py, size: 1}]\n    path:"),
    ),
    Mistake("secrets", {"id_rsa": "x", "lib/server.pem": "x"}, arguments=("deploy", "--strict")),
    Mistake("missing-name", config("- name: text\n  kind", "- kind")),
    Mistake("missing-kind", {"cortex.yaml": "- name: text\n  apis: [{name: a, weight: 50}, {name: b, weight: 50}]\n"}),
    Mistake("containers", {"cortex.yaml": "- name: text\n  kind: RealtimeAPI\n  pod: {port: 8080}\n"}),
    Mistake("missing-predictor", {"cortex.yaml": "- name: text\n  kind: RealtimeAPI\n"}),
    Mistake("wrong-kind", config("RealtimeAPI", "RealtimeApi")),
    Mistake("batch-api", config("RealtimeAPI", "BatchAPI")),
    Mistake("bad-name", config("name: text", "name: Text_API")),
    Mistake("wrong-type", config("type: python", "type: pytorch")),
    Mistake("bad-cpu", config("50m", "a lot")),
    Mistake("bad-memory", config("128Mi", "128MB")),
    Mistake("memory-too-small", config("128Mi", "1Mi")),
    Mistake("negative-replicas", {"cortex.yaml": CONFIG + "  autoscaling: {min_replicas: -1}\n"}),
    Mistake("min-above-max", {"cortex.yaml": CONFIG + "  autoscaling: {min_replicas: 3, max_replicas: 2}\n"}),
    Mistake("no-surge-at-all", {"cortex.yaml": CONFIG + "  update_strategy: {max_surge: 0, max_unavailable: 0}\n"}),
    Mistake("reserved-variable", config("    path:", "    env: {CORTEX_DEBUG: '1'}\n    path:")),
    Mistake("iam-policies", config("    path:", f"    iam_policies: {IAM_POLICIES}\n    path:")),
    Mistake("number-as-variable", config("    path:", "    env: {WORKERS: 2}\n    path:")),
    Mistake("duplicate-name", {"cortex.yaml": CONFIG + CONFIG}),
    Mistake(
        "duplicate-endpoint",
        {"cortex.yaml": CONFIG + CONFIG.replace("text", "other") + "  networking: {endpoint: /text}\n"},
    ),
    Mistake("bad-endpoint", {"cortex.yaml": CONFIG + "  networking: {endpoint: /a b}\n"}),
    Mistake("weights-not-100", {"cortex.yaml": SPLITTER}),
    Mistake("splitter-of-one", {"cortex.yaml": SPLITTER.replace("    - {name: b, weight: 40}\n", "")}),
    Mistake("several-at-once", config("type: python", "type: pytorch\n    processes: 2") | {"predictor.py": None}),
]

FILES = [
    Mistake("no-cortex-yaml", {"cortex.yaml": None}),
    Mistake("no-such-file", arguments=("deploy", "elsewhere/cortex.yaml")),
    Mistake("folder-without-cortex-yaml", {"sub/keep.txt": ""}, arguments=("deploy", "sub")),
    Mistake("predictor-file-missing", {"predictor.py": None}),
    Mistake("predictor-outside", config("path: predictor.py", "path: ../predictor.py")),
    Mistake("predictor-ignored", {".cortexignore": "*.py\n"}),
    Mistake("predictor-syntax-error", predictor("def predict(self, payload):", "def predict(self, payload)")),
    Mistake("wrong-class-name", predictor("PythonPredictor", "Predictor")),
    Mistake("class-of-another-type", predictor("PythonPredictor", "ONNXPredictor")),
    Mistake("no-predict", predictor("def predict", "def run")),
    Mistake("wrong-signature", predictor("payload", "request")),
    Mistake("self-forgotten", predictor("self, config", "config")),
    Mistake("model-missing", config("    path:", MODELS + "    path:")),
    Mistake("onnx-without-model", config("type: python", "type: onnx")),
    Mistake("python-path-missing", config("    path:", "    python_path: src\n    path:")),
    Mistake("bad-cortexignore", {".cortexignore": "data/\n!\n"}),
    Mistake("cortexignore-not-utf-8", {".cortexignore": b"caf\xe9\n"}),
    Mistake("broken-requirements", {"requirements.txt": "numpy=>1\n"}),
    Mistake("requirements-not-utf-8", {"requirements.txt": "numpy\n".encode("utf-16")}),
    Mistake("requirements-of-nowhere", {"requirements.txt": "numpy\n-r more.txt\n"}),
    Mistake("requirements-of-this-machine", {"requirements.txt": "/home/me/own-1-py3-none-any.whl\n"}),
    Mistake("requirements-with-a-variable", {"requirements.txt": "--index-url https://${TOKEN}@example.com/simple\n"}),
    Mistake("conda-packages-as-command", {"conda-packages.txt": "-c conda-forge rdkit\n"}),
    Mistake("conda-packages-of-pypi", {"conda-packages.txt": "rdkit\nflask=1.1.2=pypi_0\n"}),
    Mistake("conda-packages-not-utf-8", {"conda-packages.txt": b"rdkit # caf\xe9\n"}),
    Mistake("conda-python-too-old", {"conda-packages.txt": "python=3.6.9\n"}),
    Mistake("python-version-too-old", {".python-version": "3.8\n"}),
    Mistake("script-with-windows-lines", {"dependencies.sh": "apt-get update\r\n"}),
    Mistake("script-syntax", {"dependencies.sh": "echo yes\nfi\n"}),
    Mistake("script-of-mnt-project", {"dependencies.sh": "cp /mnt/project/pip.conf /etc/pip.conf\n"}),
    Mistake("too-large-file", {"model.bin": SPARSE}),
    Mistake("link-to-nowhere", {"data": Path("gone")}),
    Mistake("link-out-of-the-project", {"data": Path("/etc")}),
    Mistake("name-not-utf-8", {os.fsdecode(b"caf\xe9.txt"): ""}),
    Mistake("home-folder", environ={"HOME": "{project}", "CORTEX_HOME": "{home}"}),
]

EXPIRED = "default: aws\nenvironments:\n- {name: aws, cluster: cortex, region: us-east-1, endpoint_url: '{url}'}\n"
AWS = "default: aws\nenvironments:\n- {name: aws, cluster: cortex, region: us-east-1}\n"
KEYS = {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"}
NO_KEYS = {"AWS_PROFILE": "", "HOME": "{home}", "AWS_EC2_METADATA_DISABLED": "true"}


def answer(code: str) -> Mistake:
    """An account that answers every call with an error."""
    return Mistake(f"aws-{code}", environ=KEYS, home={"environments.yaml": EXPIRED.replace("{url}", "{url}/" + code)})


ENVIRONMENTS = [
    Mistake("unknown-environment", arguments=("deploy", "--env", "prod")),
    Mistake("delete-unknown-environment", arguments=("env", "delete", "nope")),
    Mistake("unknown-default", arguments=("env", "default", "prod")),
    Mistake("delete-local-environment", arguments=("env", "delete", "local")),
    Mistake("configure-local-environment", arguments=("env", "configure", "local", "--region", "eu-west-1")),
    Mistake("bad-environment-name", arguments=("env", "configure", "my prod"), exit_code=2),
    Mistake("bad-cluster-name", arguments=("env", "configure", "prod", "--cluster", "Prod_1"), exit_code=2),
    Mistake("bad-region", arguments=("env", "configure", "prod", "--region", "frankfurt"), exit_code=2),
    Mistake(
        "bad-endpoint-url", arguments=("env", "configure", "prod", "--endpoint-url", "localhost:4566"), exit_code=2
    ),
    Mistake(
        "bad-header", {"sample.json": "{}"}, arguments=("predict", "text", "sample.json", "-H", "json"), exit_code=2
    ),
    Mistake("environments-not-yaml", home={"environments.yaml": "default: [\n"}),
    Mistake("environments-not-a-map", home={"environments.yaml": "- local\n"}),
    Mistake("environments-unknown-field", home={"environments.yaml": AWS.replace("cluster:", "clusters:")}),
    Mistake("no-credentials", environ=NO_KEYS, home={"environments.yaml": AWS}),
    Mistake("half-credentials", environ={**KEYS, "AWS_SECRET_ACCESS_KEY": ""}, home={"environments.yaml": AWS}),
    Mistake("unknown-profile", environ={"AWS_PROFILE": "no-such-profile"}, home={"environments.yaml": AWS}),
    answer("ExpiredToken"),
    answer("InvalidClientTokenId"),
    answer("AccessDenied"),
    Mistake(
        "endpoint-refuses",
        environ=KEYS,
        home={"environments.yaml": EXPIRED.replace("{url}", "http://127.0.0.1:{free}")},
    ),
    Mistake("endpoint-is-no-url", environ=KEYS, home={"environments.yaml": EXPIRED.replace("{url}", "localhost")}),
    Mistake("variable-is-no-url", environ={**KEYS, "AWS_ENDPOINT_URL": "localhost"}, home={"environments.yaml": AWS}),
    Mistake("endpoint-is-a-page", environ=KEYS, home={"environments.yaml": EXPIRED.replace("{url}", "{url}/page")}),
    Mistake("home-is-a-file", environ={"CORTEX_HOME": "{project}/cortex.yaml"}),
    Mistake("state-is-a-file", home={"local": ""}),
    Mistake("control-port-in-use", environ={"CORTEX_LOCAL_PORT": "{port}"}),
    Mistake("http-port-in-use", environ={"CORTEX_LOCAL_HTTP_PORT": "{port}"}),
    Mistake("port-wanted-twice", environ={"CORTEX_LOCAL_PORT": "4999", "CORTEX_LOCAL_HTTP_PORT": "4999"}),
    Mistake("port-is-no-number", environ={"CORTEX_LOCAL_PORT": "http"}),
    Mistake("port-too-large", environ={"CORTEX_LOCAL_HTTP_PORT": "99999"}),
    Mistake("speed-is-no-number", environ={"CORTEX_LOCAL_SPEED": "fast"}),
]

CALLS = [
    Mistake("unknown-command", arguments=("deply",), exit_code=2),
    Mistake("missing-argument", arguments=("predict", "text"), exit_code=2),
    Mistake("unknown-option", arguments=("deploy", "--environment", "prod"), exit_code=2),
    Mistake("bad-duration", arguments=("logs", "text", "--since", "soon"), exit_code=2),
    Mistake("bad-output", arguments=("get", "--output", "yaml"), exit_code=2),
    Mistake("no-such-sample", arguments=("predict", "text", "sampel.json"), exit_code=2),
]

EVERY = [*CONFIGURATION, *FILES, *ENVIRONMENTS, *CALLS]


class Refusal(BaseHTTPRequestHandler):
    """Answers every call with the error that its path names, as AWS's query services do; or as a proxy's page."""

    def do_POST(self) -> None:
        code = self.path.strip("/")
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no: {code}</Message></Error></ErrorResponse>"
        if code == "page":
            body = "<!doctype html><title>Sign in</title><p>Hello<br>"
        self.send_response(200 if code == "page" else 403)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing to stderr."""


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """Where a server answers that refuses everything."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


@pytest.fixture(scope="module")
def free() -> str:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for what the launcher writes before it knows whether the cloud can start."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "model.bin" and path.parent.name != "local"
    }


def test_every_mistake_has_a_name_of_its_own() -> None:
    names = [mistake.name for mistake in EVERY]
    assert len(names) == len(set(names)) >= 40
    assert set(names) <= {file.stem for file in GOLDEN.iterdir()}


@pytest.mark.parametrize("mistake", EVERY, ids=lambda mistake: mistake.name)
def test_one_line_says_what_is_wrong(mistake: Mistake, tmp_path: Path, refusing: str, busy: str, free: str) -> None:
    project, cortex = tmp_path / "project", Cortex(tmp_path / "home")
    known = {"url": refusing, "port": busy, "free": free}
    mistake.write(project)
    write_files(cortex.home, {name: filled(content, known) for name, content in mistake.home.items()})
    before = tree(tmp_path)
    commit(cortex, mistake, project, **known)
    assert tree(tmp_path) == before
    assert not (cortex.home / "local/daemon.json").exists(), "the local cloud was started"
