from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cortex_cdk.history.commit import read_commit


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *settings, "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed project in a folder of a repository, beside which other files may change."""
    git(tmp_path, "init", "-q")
    folder = tmp_path / "iris"
    folder.mkdir()
    (folder / "predictor.py").write_text("1")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return folder


def test_the_commit_of_a_project_and_whether_its_files_differ(project: Path) -> None:
    found = read_commit(project)
    assert found
    assert (found.id, found.dirty) == (git(project, "rev-parse", "HEAD"), False)
    assert str(found) == found.id[:7]

    (project.parent / "elsewhere").write_text("1")
    assert read_commit(project) == found

    (project / "predictor.py").write_text("2")
    dirty = read_commit(project)
    assert dirty
    assert str(dirty) == f"{found.id[:7]}*"
    git(project, "checkout", "-q", ".")
    (project / "new.py").touch()
    assert read_commit(project) == dirty


def test_a_folder_without_files_in_a_repository_has_no_commit(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    assert read_commit(outside) is None
    assert read_commit(outside / "missing") is None
    (project.parent / ".gitignore").write_text("made\n")
    (project.parent / "made").mkdir()
    assert read_commit(project.parent / "made") is None
    git(outside, "init", "-q")
    (outside / "a").touch()
    assert read_commit(outside) is None, "there is no commit yet"


def test_a_hook_that_deploys_and_a_repository_that_runs_programs_change_nothing(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, trap = read_commit(project), tmp_path_factory.mktemp("trap")
    program = trap / "program"
    program.write_text(f"#!/bin/sh\ntouch {trap}/ran\n")
    program.chmod(0o755)
    git(project, "config", "core.fsmonitor", str(program))
    git(trap, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(trap / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(trap))
    assert read_commit(project) == found
    assert not (trap / "ran").exists()


def test_a_deployment_does_without_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert read_commit(project) is None
