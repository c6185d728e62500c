"""``cortex predict``: what is sent as what, and what a shell completes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cortex_cdk import AsyncClient, Client
from cortex_cdk.errors import ApiFailedError, NotDeployedError, PayloadError
from tests.conftest import CORTEX, ROOT, Cortex
from tests.examples.test_documentation import blocks
from tests.unit.cli.test_commands import completed

PREDICTOR = """
import os
import time

from cortex_serving import Response


def shown(payload):
    if hasattr(payload, "multi_items"):
        return [
            [name, [part.filename, part.content_type, len(part.file.read())] if hasattr(part, "file") else part]
            for name, part in payload.multi_items()
        ]
    return len(payload) if isinstance(payload, bytes) else payload


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers, query_params):
        if "wait_for" in query_params:
            return self.stream(query_params)
        if "yields" in query_params:
            return Response(self.items(query_params["yields"]), media_type=query_params["yields"])
        if "status" in query_params:
            return Response("as you wish", status_code=int(query_params["status"]))
        return {
            "query": {name: query_params[name] for name in query_params},
            "type": headers.get("content-type"),
            "mine": headers.get("x-mine"),
            "payload": shown(payload),
        }

    def items(self, kind):
        kinds = {"application/octet-stream": [b"\\xff", b"\\xfe"], "text/plain": ["a\\n", "b"]}
        yield from kinds.get(kind, [{"n": 1}, {"n": 2}])

    def stream(self, query):
        yield "first\\n"
        while not os.path.exists(query["wait_for"]):
            time.sleep(0.02)
        if query.get("end") == "failure":
            raise RuntimeError("no more")
        yield "second"
"""


TYPED = """
from dataclasses import dataclass

from cortex_serving import UploadFile


@dataclass
class Drawing:
    image: UploadFile
    top: int = 1


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload: Drawing):
        image = payload.image
        return {"name": image.filename, "type": image.content_type, "bytes": len(image.file.read()), "top": payload.top}
"""
PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def folder(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    api = {"name": "mirror", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "typed.py").write_text(TYPED)
    typed = {**api, "name": "digits", "predictor": {"type": "python", "path": "typed.py"}}
    (folder / "cortex.yaml").write_text(json.dumps([{**each, "compute": {"mem": "200Mi"}} for each in (api, typed)]))
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
    assert told.splitlines()[1].startswith("hint: see the replica's side with: cortex logs mirror --request-id Root=1-")


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


def test_a_file_or_a_form_is_uploaded(cortex: Cortex, folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "seven.png"
    image.write_bytes(PNG)
    raw = cortex.json("predict", "digits", str(image))["answer"]
    assert raw == {"name": "", "type": "image/png", "bytes": len(PNG), "top": 1}
    form = cortex.json("predict", "digits", "-F", f"image=@{image}", "--form", "top=3")["answer"]
    assert form == {"name": "seven.png", "type": "image/png", "bytes": len(PNG), "top": 3}
    named = cortex.json("predict", "digits", "-F", f"image=@{image};type=image/x-seven;filename=7")["answer"]
    assert (named["name"], named["type"]) == ("7", "image/x-seven")
    (tmp_path / "note.txt").write_text("noted")
    several = ["-F", "a=1", "-F", "a=2;3", "-F", f"note=<{tmp_path / 'note.txt'}", "-F", f"file=@{image}"]
    expected = [["a", "1"], ["a", "2;3"], ["note", "noted"], ["file", ["seven.png", "image/png", len(PNG)]]]
    assert cortex.json("predict", "mirror", *several)["answer"]["payload"] == expected


def test_data_is_json_a_form_or_a_file(cortex: Cortex, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("1,2")
    for data, kind, payload in (
        ('{"n": 1}', "application/json", {"n": 1}),
        ("a=1&b=2", "application/x-www-form-urlencoded", [["a", "1"], ["b", "2"]]),
        (f"@{tmp_path / 'table.csv'}", "text/csv", 3),
        ("@-", "application/json", {"n": 2}),
    ):
        answer = json.loads(cortex.ok("predict", "mirror", "--data", data, stdin='{"n": 2}'))
        assert (answer["type"], answer["payload"]) == (kind, payload)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "see what mirror takes with: cortex predict mirror --schema"),
        (["-d", "1", "-F", "a=1"], "--data and --form are two bodies"),
        (["-d", "1", "--schema"], "--schema sends nothing"),
        (["-F", "image=@nowhere.png"], "nowhere.png"),
        (["-F", "image"], "'image' is not a form field like"),
    ],
)
def test_a_request_that_cannot_be_made_is_refused(cortex: Cortex, arguments: list[str], said: str) -> None:
    done = cortex.run("predict", "mirror", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_payload_that_is_refused_leads_to_what_the_api_takes(cortex: Cortex, folder: Path) -> None:
    for data in ('{"image": 1}', "{"):
        refused = cortex.run("predict", "digits", "--data", data)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1] == "hint: see what it takes with: cortex predict digits --schema"
    told = cortex.ok("predict", "digits", "--schema")
    assert "image  file          required\ntop    whole number  default 1\n" in told
    assert "  cortex predict digits -F image=@FILE\n  cortex predict digits FILE\n" in told
    known = cortex.json("predict", "digits", "--schema")
    assert [(field["name"], field["required"], field["is_file"]) for field in known["fields"]] == [
        ("image", True, True),
        ("top", False, False),
    ]


def test_a_receipt_says_what_took_how_long(cortex: Cortex, folder: Path) -> None:
    done = cortex.run("predict", "mirror", "--data", "{}", "-v")
    assert json.loads(done.stdout)["payload"] == {}
    lines = done.stderr.splitlines()
    parts = [line.partition("  ")[0] for line in lines[:6]]
    assert parts == ["name lookup", "connect", "send", "first byte", "rest of the answer", "total"]
    assert "in the replica: queue " in lines[3]
    assert lines[6] == "sent: 2 bytes of application/json"
    assert [line.partition(": ")[0] for line in lines[7:]] == ["answer", "answered by", "request id"]
    failed = cortex.run("predict", "mirror", "--data", "{}", "-v", "-q", "status=500")
    assert "\nanswer: 500, " in failed.stderr


@pytest.fixture
def client(cortex: Cortex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of this process, with the home of the module."""
    for name in [name for name in os.environ if name.startswith(("CORTEX_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name, value in cortex.environ.items():
        monkeypatch.setenv(name, value)
    with Client() as client:
        yield client


@pytest.mark.parametrize(
    ("payload", "sent", "seen"),
    [
        ({"n": 1}, "application/json", {"n": 1}),
        ("text", "application/json", "text"),
        (None, "application/json", None),
        (pd.DataFrame({"n": [1, 2]}), "application/json", [{"n": 1}, {"n": 2}]),
        (b'{"n": 1}', "application/json", {"n": 1}),
        (b"n,1", "application/octet-stream", 3),
    ],
)
def test_python_values_are_sent_as_what_they_are(client: Client, payload: Any, sent: str, seen: Any) -> None:
    answer = client.predict("mirror", payload)
    assert (answer["type"], answer["payload"]) == (sent, seen)


def test_files_are_sent_from_python(client: Client, tmp_path: Path) -> None:
    image = tmp_path / "seven.png"
    image.write_bytes(PNG)
    assert client.predict("mirror", image)["type"] == "image/png"
    with image.open("rb") as opened:
        assert client.predict("mirror", opened)["payload"] == len(PNG)
    files = {"image": image, "more": [b"1", ("rows.csv", "1,2", "text/x-rows")]}
    sent = client.predict("mirror", files=files, form={"top": 3, "tags": ["a", "b"], "none": None})["payload"]
    assert sent == [
        *[["top", "3"], ["tags", "a"], ["tags", "b"], ["image", ["seven.png", "image/png", len(PNG)]]],
        *[["more", ["more", "application/octet-stream", 1]], ["more", ["rows.csv", "text/x-rows", 3]]],
    ]
    with pytest.raises(PayloadError, match=r"gone\.png cannot be read"):
        client.predict("mirror", files={"image": tmp_path / "gone.png"})


def test_streams_are_read_as_what_the_predictor_yielded(client: Client) -> None:
    for kind, items in (
        ("application/x-ndjson", [{"n": 1}, {"n": 2}]),
        ("text/event-stream", [{"n": 1}, {"n": 2}]),
        ("application/octet-stream", b"\xff\xfe"),
        ("text/plain", "a\nb"),
    ):
        with client.stream("mirror", {}, query={"yields": kind}) as answer:
            parts = list(answer)
        assert (parts if isinstance(items, list) else type(items)().join(parts)) == items
    with client.stream("mirror", {}, query={"yields": "text/plain"}) as answer:
        assert list(answer.lines()) == ["a", "b"]


def test_an_api_has_its_fields_as_arguments(client: Client) -> None:
    api = client.api("digits")
    assert api.predict(image=PNG, top=2) == {"name": "image", "type": "application/octet-stream", "bytes": 6, "top": 2}
    assert api.predict(PNG)["top"] == 1
    assert "image  file          required" in repr(api)
    with pytest.raises(TypeError, match="digits takes no imgae: did you mean image"):
        api.predict(imgae=PNG)
    with pytest.raises(PayloadError, match=r"image \(file\) is missing"):
        api.predict(top=1)
    assert client.api("mirror").with_options(query={"top": 5}).predict(anything=1)["query"] == {"top": "5"}


def test_errors_say_who_is_to_blame(client: Client) -> None:
    with pytest.raises(PayloadError) as refused:
        client.predict("digits", {"top": "many"})
    assert refused.value.status in (415, 422)
    with pytest.raises(ApiFailedError) as failed:
        client.predict("mirror", {}, query={"status": 500})
    assert (failed.value.status, failed.value.answer, failed.value.answered_by) == (500, "as you wish", "mirror")
    with pytest.raises(NotDeployedError):
        client.predict("gone", {})


def test_one_client_serves_many_threads_and_many_coroutines(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.predict("mirror", n)["payload"], range(64)))
    assert answers == list(range(64))

    async def at_once() -> list[Any]:
        async with AsyncClient() as unblocked:
            api = await unblocked.api("mirror")
            async with unblocked.stream("mirror", {}, query={"yields": "application/x-ndjson"}) as answer:
                streamed = [item async for item in answer]
            with pytest.raises(NotDeployedError):
                await unblocked.predict("gone", {})
            return [streamed, *await asyncio.gather(*(api.predict(n) for n in range(64)))]

    streamed, *answers = asyncio.run(at_once())
    assert streamed == [{"n": 1}, {"n": 2}]
    assert [answer["payload"] for answer in answers] == list(range(64))


def test_the_page_on_the_client_is_right(cortex: Cortex, folder: Path, tmp_path: Path) -> None:
    """Its examples, as one script, in a folder that has nothing."""
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(blocks(ROOT / "docs/python-client.md", "python")))
    done = subprocess.run(
        [CORTEX.with_name("python"), "-W", "ignore", script],
        cwd=tmp_path, env=cortex.environ, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_is_deployed_is_completed(cortex: Cortex, folder: Path) -> None:
    for command in ("get", "logs", "predict", "refresh", "delete"):
        assert completed(cortex, "cortex", command, "mi") == ["plain,mirror"]
    deployed = sorted(f"plain,{api['name']}" for api in cortex.json("get"))
    assert sorted(completed(cortex, "cortex", "get", "--env", "local", "")) == deployed
    assert completed(cortex, "cortex", "get", "other") == []
