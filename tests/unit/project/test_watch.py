"""Which changes of a project are noticed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from cortex_cdk.project.watch import ProjectWatch


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("cortex.yaml", "predictor.py", "parts/one.py", "notes.log", "data.json"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text("1")
    (tmp_path / "project" / ".cortexignore").write_text("*.log\n")
    return tmp_path / "project"


def test_what_replicas_get_is_watched(project: Path) -> None:
    watch = ProjectWatch(project / "cortex.yaml")
    assert watch.changes() == ()
    (project / "parts/one.py").write_text("22")
    assert watch.changes() == ("parts/one.py",)
    (project / "cortex.yaml").write_text("22")
    (project / "new.py").write_text("")
    (project / "data.json").unlink()
    assert watch.changes() == ("cortex.yaml", "data.json", "new.py")
    assert watch.changes() == ()


def test_a_file_of_the_same_size_and_time_is_noticed_if_another_one_took_its_place(project: Path) -> None:
    """As editors save: they write a file beside the old one, and rename it."""
    watch = ProjectWatch(project / "cortex.yaml")
    before = (project / "predictor.py").stat()
    (project / "predictor.py.new").write_text("2")
    os.utime(project / "predictor.py.new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (project / "predictor.py.new").rename(project / "predictor.py")
    assert watch.changes() == ("predictor.py",)


def test_what_is_ignored_is_not_watched(project: Path) -> None:
    watch = ProjectWatch(project / "cortex.yaml")
    (project / "notes.log").write_text("22")
    (project / "__pycache__").mkdir()
    (project / "__pycache__/predictor.cpython-311.pyc").write_text("")
    (project / ".predictor.py.swp").write_text("")
    assert watch.changes() == ()
    (project / ".cortexignore").write_text("*.json\n")
    assert watch.changes() == ("data.json", "notes.log")


def test_files_elsewhere_can_be_watched_too(project: Path, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    watch = ProjectWatch(project / "cortex.yaml", [request])
    request.write_text("{}")
    assert watch.changes() == (str(request),)


def test_a_project_that_cannot_be_packed_is_watched_until_it_can(project: Path) -> None:
    watch = ProjectWatch(project / "cortex.yaml")
    (project / "link").symlink_to("nowhere")
    assert "predictor.py" in watch.changes()
    assert watch.changes() == ()
    (project / "link").unlink()
    assert "predictor.py" in watch.changes()


def test_several_saves_in_a_row_are_one_change(project: Path) -> None:
    watch = ProjectWatch(project / "cortex.yaml")

    def save() -> None:
        for number in range(5):
            (project / f"part-{number}.py").write_text("")
            time.sleep(0.02)

    saving = threading.Thread(target=save)
    saving.start()
    seen: list[str] = []
    while len(seen) < 5:
        seen += watch.changes()
    saving.join()
    assert sorted(seen) == [f"part-{number}.py" for number in range(5)]
    assert watch.changes() == ()
