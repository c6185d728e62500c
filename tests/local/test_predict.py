"""``cortex predict``: what is sent as what, and what a shell completes."""

from __future__ import annotations

import json

import pytest

from tests.unit.test_cli import completed

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers):
        return {
            "type": headers["content-type"],
            "mine": headers.get("x-mine"),
            "payload": payload if isinstance(payload, dict) else len(payload),
        }
"""


@pytest.fixture(scope="module")
def folder(cortex, tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    api = {"name": "mirror", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "cortex.yaml").write_text(json.dumps([{**api, "compute": {"mem": "200Mi"}}]))
    cortex.ok("deploy", str(folder))
    return folder


@pytest.mark.parametrize(
    ("name", "sent", "payload"),
    [
        ("sample.json", "application/json", {"n": 1}),
        ("sample.txt", "text/plain; charset=utf-8", 8),
        ("photo.jpg", "image/jpeg", 8),
        ("table.csv", "text/csv", 8),
        ("weights.bin", "application/octet-stream", 8),
        ("archive.tar.gz", "application/octet-stream", 8),
    ],
)
def test_the_content_type_is_guessed_from_the_ending(cortex, folder, tmp_path, name, sent, payload):
    (tmp_path / name).write_text('{"n": 1}')
    answer = json.loads(cortex.ok("predict", "mirror", str(tmp_path / name)))
    assert (answer["type"], answer["payload"]) == (sent, payload)


def test_standard_input_is_json_and_headers_say_otherwise(cortex, folder):
    assert json.loads(cortex.ok("predict", "mirror", "-", stdin='{"n": 1}'))["type"] == "application/json"
    asked = cortex.ok(
        "predict", "mirror", "-", "-H", "content-type: text/csv", "-H", "X-Mine:  it is: mine ", stdin="1,2"
    )
    assert json.loads(asked) == {"type": "text/csv", "mine": "it is: mine", "payload": 3}


def test_what_is_deployed_is_completed(cortex, folder):
    for command in ("get", "logs", "predict", "refresh", "delete"):
        assert completed(cortex, "cortex", command, "mi") == ["plain,mirror"]
    assert completed(cortex, "cortex", "get", "--env", "local", "") == ["plain,mirror"]
    assert completed(cortex, "cortex", "get", "other") == []
