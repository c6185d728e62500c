"""Models on S3 are looked for before anything is created."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cortex
from tests.local.cli.mistakes import write_files

API = """\
- name: text
  kind: RealtimeAPI
  predictor: {{type: {type}, path: predictor.py, {where}}}
  compute: {{cpu: 50m, mem: 128Mi}}
"""
PREDICTOR = """\
class {kind}Predictor:
    def __init__(self, config, {argument}):
        pass

    def predict(self, payload):
        return payload

    def load_model(self, model_path):
        return None
"""
KINDS = {"onnx": "ONNX", "tensorflow": "TensorFlow", "python": "Python"}
OBJECTS = [
    "onnx/two/1/a.onnx",
    "onnx/two/1/b.onnx",
    "tf/broken/1/variables/index",
    "tf/models/good/1/saved_model.pb",
    "tf/models/bad/1/other.pb",
]


@pytest.fixture(scope="module")
def filled(cortex: Cortex) -> Cortex:
    """A local cloud with a bucket of broken models."""
    cortex.ok("local", "up")
    s3 = cortex.aws("s3")
    s3.create_bucket(Bucket="models-of-ours")
    for key in OBJECTS:
        s3.put_object(Bucket="models-of-ours", Key=key, Body=b"x")
    return cortex


@pytest.mark.parametrize(
    ("kind", "where", "message"),
    [
        ("onnx", "model_path: 's3://no-such-bucket-of-ours/m'", "the bucket of s3://no-such-bucket-of-ours/m does not"),
        ("python", "model_path: 's3://models-of-ours/none'", "there is nothing at s3://models-of-ours/none"),
        ("onnx", "model_path: 's3://models-of-ours/onnx/two/'", "two/1 must have exactly one .onnx file, not 2"),
        ("tensorflow", "model_path: 's3://models-of-ours/tf/broken'", "tf/broken/1 has no saved_model.pb"),
        ("tensorflow", "models: {dir: 's3://models-of-ours/tf/models'}", "model bad: "),
        ("python", "models: [{name: a, model_path: 's3://models-of-ours/tf/absent'}]", "model a: there is nothing at"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(
    filled: Cortex, kind: str, where: str, message: str, tmp_path: Path
) -> None:
    predictor = PREDICTOR.format(kind=KINDS[kind], argument=f"{kind}_client")
    write_files(tmp_path, {"cortex.yaml": API.format(type=kind, where=where), "predictor.py": predictor})
    done = filled.run("deploy", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stderr
    assert "preparing" not in done.stderr, "no image is built for it"
    assert filled.json("get") == []
