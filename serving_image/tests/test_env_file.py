"""``.env`` in a replica, and what wins where a variable is set twice."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Serve, running, write_project


def test_env_file_and_working_folder(serve: Serve, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / ".env").write_text(
        "\ufeff# comment\nexport GREETING='hello' # note\nPEM=\"a\nb\"\nKEPT=file\nOWN=${KEPT}\n", encoding="utf-8"
    )
    (project / "data.txt").write_text("there")
    replica = serve(
        """
        import os
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                found = [os.environ[name] for name in ("PEM", "KEPT", "OWN")]
                return os.environ["GREETING"] + " " + open("data.txt").read() + str(found)
        """,
        env={"KEPT": "cortex.yaml"},
    )
    assert replica.post().text == "hello there['a\\nb', 'cortex.yaml', 'cortex.yaml']"


def test_a_broken_env_file_is_told_before_anything_starts(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "class PythonPredictor: ...")
    (project / ".env").write_text("A=1\nsecret\n")
    with running([str(project)], ready=False) as replica:
        assert replica.process.wait(20) == 1
        replica.stop()
        [text] = replica.broken
        assert b".env:2: is not NAME=value" in text and b"secret" not in text
