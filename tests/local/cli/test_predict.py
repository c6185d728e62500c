"""``cortex predict``: what is sent as what, and what a shell completes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CORTEX, Cortex
from tests.unit.cli.test_commands import completed

PREDICTOR = """
import os
import time


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers, query_params):
        if "wait_for" in query_params:
            return self.stream(query_params)
        return {
            "query": {name: query_params[name] for name in query_params},
            "type": headers["content-type"],
            "mine": headers.get("x-mine"),
            "payload": payload if isinstance(payload, dict) else len(payload),
        }

    def stream(self, query):
        yield "first\\n"
        while not os.path.exists(query["wait_for"]):
            time.sleep(0.02)
        if query.get("end") == "failure":
            raise RuntimeError("no more")
        yield "second"
"""


@pytest.fixture(scope="module")
def folder(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
def test_the_content_type_is_guessed_from_the_ending(
    cortex: Cortex, folder: Path, tmp_path: Path, name: str, sent: str, payload: object
) -> None:
    (tmp_path / name).write_text('{"n": 1}')
    answer = json.loads(cortex.ok("predict", "mirror", str(tmp_path / name)))
    assert (answer["type"], answer["payload"]) == (sent, payload)


def test_standard_input_is_json_and_headers_say_otherwise(cortex: Cortex, folder: Path) -> None:
    assert json.loads(cortex.ok("predict", "mirror", "-", stdin='{"n": 1}'))["type"] == "application/json"
    asked = cortex.ok(
        "predict", "mirror", "-", "-H", "content-type: text/csv", "-H", "X-Mine:  it is: mine ", stdin="1,2"
    )
    assert json.loads(asked) == {"type": "text/csv", "mine": "it is: mine", "payload": 3, "query": {}}


def test_query_parameters_are_quoted(cortex: Cortex, folder: Path) -> None:
    given = ["-q", "top=5", "--query", "text=a b&c=ü?", "-q", "empty="]
    answer = json.loads(cortex.ok("predict", "mirror", "-", *given, stdin="{}"))
    assert answer["query"] == {"top": "5", "text": "a b&c=ü?", "empty": ""}


def test_a_stream_is_printed_as_it_comes(cortex: Cortex, folder: Path, tmp_path: Path) -> None:
    """The predictor goes on only when the first part has been read here."""
    with streaming(cortex, tmp_path / "go") as process:
        assert process.stdout
        assert process.stdout.readline() == "first\n"
        (tmp_path / "go").touch()
        assert process.communicate() == ("second\n", "")
    assert process.returncode == 0


def test_a_stream_that_breaks_off_is_a_failure(cortex: Cortex, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with streaming(cortex, tmp_path / "go", "-q", "end=failure") as process:
        printed, told = process.communicate()
    assert (printed, process.returncode) == ("first\n", 1)
    assert told.startswith("error: the answer of mirror broke off: ")
    assert told.splitlines()[1] == "hint: see the replica's side with: cortex logs mirror"


def streaming(cortex: Cortex, until: Path, *arguments: str) -> subprocess.Popen[str]:
    """A ``cortex predict`` whose answer ends when that file is there."""
    (until.parent / "body.json").write_text("{}")
    return subprocess.Popen(
        [CORTEX, "predict", "mirror", until.parent / "body.json", "-q", f"wait_for={until}", *arguments],
        env=cortex.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_is_deployed_is_completed(cortex: Cortex, folder: Path) -> None:
    for command in ("get", "logs", "predict", "refresh", "delete"):
        assert completed(cortex, "cortex", command, "mi") == ["plain,mirror"]
    assert completed(cortex, "cortex", "get", "--env", "local", "") == ["plain,mirror"]
    assert completed(cortex, "cortex", "get", "other") == []
