"""What an update changes, in the words of its user: on stderr, and in JSON for scripts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import Cortex

LOGICAL_ID = re.compile(r"[A-Za-z]{3,}[0-9A-F]{8}\b")


def test_an_update_names_the_files_and_fields_that_it_changes(cortex: Cortex, tmp_path: Path) -> None:
    start, answer = "def __init__(self, config):\n        pass", "def predict(self):\n        return 1"
    code = f"class PythonPredictor:\n    {start}\n    {answer}\n"
    api = {
        "name": "told",
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": {"a": 1}, "env": {"TOKEN": "secret-1"}},
        "compute": {"cpu": "50m", "mem": "200Mi"},
    }

    def deploy(files: dict[str, str | None], *options: str, **settings: Any) -> tuple[str, Any]:
        for name, content in files.items():
            (tmp_path / name).write_text(content) if content is not None else (tmp_path / name).unlink()
        api.update(settings)
        (tmp_path / "cortex.yaml").write_text(yaml.safe_dump([api]))
        done = cortex.run("deploy", "--yes", "-o", "json", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert not LOGICAL_ID.search(done.stderr + done.stdout)
        [result] = json.loads(done.stdout)
        return done.stderr, result

    said, result = deploy({"predictor.py": code, "old.py": "1"})
    assert result["differences"] is None

    said, result = deploy({"load.py": "import time"}, autoscaling={"max_replicas": 7})
    assert "told: new file: load.py\n" in said
    assert "told: autoscaling.max_replicas: 100 -> 7\n" in said or "-> 7\n" in said
    assert "told: a new revision replaces the replicas\n" in said
    assert result["differences"]["files"] == {"added": ["load.py"], "changed": [], "removed": []}
    assert [(one["field"], one["after"]) for one in result["differences"]["settings"]] == [
        ("autoscaling.max_replicas", 7)
    ]

    said, result = deploy({}, autoscaling={"max_replicas": 8})
    assert "told: no replica is replaced\n" in said
    assert "file" not in said
    assert result["differences"]["replaces_replicas"] is False

    predictor = {**api["predictor"], "config": {"a": 2, "b": [1]}, "env": {"TOKEN": "secret-2"}}  # type: ignore[dict-item]
    said, result = deploy({"predictor.py": code + "\n", "old.py": None}, predictor=predictor)
    for line in ("changed file: predictor.py", "removed file: old.py", "predictor.config.a: 1 -> 2"):
        assert f"told: {line}\n" in said
    assert "told: predictor.config.b: none -> [1]\n" in said
    assert "told: predictor.env.TOKEN (its value)\n" in said

    shown = cortex.ok("get", "told", "-v")
    assert "configuration (with defaults):\nname: told\nkind: RealtimeAPI\n" in shown
    deployed = cortex.json("get", "told", "--verbose")["configuration"]
    assert (deployed["predictor"]["config"], deployed["autoscaling"]["max_replicas"]) == ({"a": 2, "b": [1]}, 8)
    assert deployed["predictor"]["env"] == {"TOKEN": "***"}
    assert "secret" not in shown
    assert "secret" not in said + json.dumps(result)

    said, result = deploy({})
    assert (result["changed"], result["differences"]) == (False, None)
    cortex.ok("delete", "told", "--yes")
