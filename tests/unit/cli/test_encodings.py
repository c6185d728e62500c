"""Text that the output's encoding lacks is written as escapes: no command dies of it, and JSON stays JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Cortex

NAME = "großes-日本-🤖"
BOTH = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"PYTHONIOENCODING": "utf-8:strict"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "POSIX"},
]


@pytest.mark.parametrize("environ", BOTH, ids=str)
def test_every_text_can_be_written(tmp_path: Path, environ: dict[str, str]) -> None:
    cortex = Cortex(tmp_path / "home")
    entry = {"name": "a", "kind": "RealtimeAPI", "predictor": {"type": NAME, "path": "p.py"}}
    (tmp_path / "cortex.yaml").write_text(json.dumps([entry], ensure_ascii=False), encoding="utf-8")
    done = subprocess.run(
        [cortex.program, "deploy", str(tmp_path), "-o", "json"],
        env={**cortex.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    encoding = environ.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    out = done.stdout.decode(encoding if encoding != "ascii" else "utf-8")
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"a.predictor.type" in done.stderr
    assert NAME in json.dumps(json.loads(out), ensure_ascii=False)
