"""What a terminal gets of texts that clients, predictors and configurations choose: no control character of theirs."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CORTEX, Cortex

# Sets the window's title, clears the screen, and begins a sequence with one character of C1.
ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b31m\b\rx"
SHOWN = r"\u001b]0;owned\u0007\u001b[2J\u009b31m"
PREDICTOR = """
import logging


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        logging.getLogger("mine").warning("seen %s", payload["text"])
        if payload["as"] == "error":
            raise ValueError(payload["text"])
        if payload["as"] == "stream":
            return iter([payload["text"], "\\n"])
        return payload["text"].encode() if payload["as"] == "bytes" else {"text": payload["text"]}
"""


@pytest.fixture(scope="module")
def folder(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    api = {
        "name": "mirror",
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "compute": {"mem": "200Mi"},
        "monitoring": {"model_type": "classification", "key": "text"},
    }
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "cortex.yaml").write_text(json.dumps([api]))
    for kind in ("object", "bytes", "stream", "error"):
        (folder / f"{kind}.json").write_text(json.dumps({"as": kind, "text": ATTACK}))
    cortex.ok("deploy", str(folder))
    return folder


def on_terminal(cortex: Cortex, *arguments: str) -> str:
    """Run a command whose stdout and stderr are a terminal, and return what the terminal gets."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [CORTEX, *arguments], env={**cortex.environ, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    got = bytearray()
    try:
        while chunk := _read(ours):
            got += chunk
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return got.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed
        return b""


def assert_harmless(text: str) -> None:
    """Only our own colours and the spinner's movements, and no control character but ends of lines."""
    left = re.sub(r"\x1b\[([0-9;]*m|\?25[hl]|2K|1A)|\r(?=\x1b|\n)", "", text)
    assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", left), ascii(left)


@pytest.mark.parametrize("kind", ["object", "bytes", "stream", "error"])
def test_answers(cortex: Cortex, folder: Path, kind: str) -> None:
    text = on_terminal(cortex, "predict", "mirror", str(folder / f"{kind}.json"))
    assert_harmless(text)
    assert kind == "error" or SHOWN in text


def test_answers_in_a_pipe_are_what_was_sent(cortex: Cortex, folder: Path) -> None:
    assert json.loads(cortex.ok("predict", "mirror", str(folder / "object.json")))["text"] == ATTACK
    done = subprocess.run(
        [CORTEX, "predict", "mirror", str(folder / "bytes.json")],
        env=cortex.environ, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.rstrip(b"\n") == ATTACK.encode()


@pytest.mark.parametrize("options", [[], ["-o", "json"]])
def test_logs(cortex: Cortex, folder: Path, options: list[str]) -> None:
    text = on_terminal(cortex, "logs", "mirror", "--no-follow", *options)
    assert_harmless(text)
    assert SHOWN in text


def test_predicted_classes(cortex: Cortex, folder: Path) -> None:
    assert_harmless(on_terminal(cortex, "get", "mirror"))


def test_configuration(cortex: Cortex, tmp_path: Path) -> None:
    api = {"name": f"a{ATTACK}", "kind": ATTACK, "predictor": {"type": ATTACK, "path": f"{ATTACK}.py", ATTACK: 1}}
    (tmp_path / "cortex.yaml").write_text(json.dumps([api]))
    text = on_terminal(cortex, "deploy", str(tmp_path))
    assert_harmless(text)
    assert "error: " in text


def test_a_failed_deployment(cortex: Cortex, tmp_path: Path) -> None:
    """The message passes through reasons of ECS and CloudFormation; in XML most control characters are malformed."""
    message = ATTACK + "".join(map(chr, range(1, 32))) + "\ufffe\uffff"
    start = f"def __init__(self, config):\n        raise ValueError({message!r})"
    (tmp_path / "predictor.py").write_text(f"class PythonPredictor:\n    {start}\n    def predict(self): ...\n")
    api = {"name": "failing", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (tmp_path / "cortex.yaml").write_text(json.dumps([{**api, "compute": {"mem": "200Mi"}}]))
    text = on_terminal(cortex, "deploy", str(tmp_path))
    assert_harmless(text)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert "error: failing: the replica failed: ValueError: " in plain
    # The table stays as it was at the end.
    table = r"revision +state +desired .*\s+failing\s+\w{12}  failed .*\s+ValueError: \\u001b"
    assert re.search(table, plain), ascii(plain[-2000:])
