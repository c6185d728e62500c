"""What Git ignores does not belong to the project, unless the project says otherwise itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex_cdk.errors import ProjectError
from cortex_cdk.project.archive import collect
from tests.unit.project.conftest import write


def names(root: Path) -> list[str]:
    return [file.name for file in collect(root, root / "cortex.yaml").files]


def repository(root: Path, name: str) -> Path:
    """A folder in a Git repository."""
    (root / ".git").mkdir()
    write(root, f"{name}/predictor.py")
    return root / name


def test_what_git_ignores_is_left_out(root: Path) -> None:
    write(root, "weights.bin", "keep.bin", "lib/cache/a", "lib/notes.txt", ".env")
    (root / ".gitignore").write_text("*.bin\n!keep.bin\n.env\n")
    (root / "lib/.gitignore").write_text("/cache/\n*.txt\n")
    assert names(root) == [".env", "keep.bin", "lib/model.py", "predictor.py"]


def test_an_ignore_file_of_ours_replaces_those_of_git(root: Path) -> None:
    write(root, "weights.bin", "data.csv")
    (root / ".gitignore").write_text("*.bin\n")
    (root / ".cortexignore").write_text("*.csv\n")
    assert names(root) == ["lib/model.py", "predictor.py", "weights.bin"]


def test_the_folders_around_count_up_to_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.py\n")  # outside of the repository
    whole = tmp_path / "whole"
    whole.mkdir()
    project = repository(whole, "services/text")
    write(project, "a.log", "out/b", "keep.log")
    (whole / ".gitignore").write_text("*.log\n/services/text/out/\n")
    (project / ".gitignore").write_text("!keep.log\n")
    assert names(project) == ["keep.log", "predictor.py"]


def test_a_project_that_git_ignores_as_a_whole_is_packed(tmp_path: Path) -> None:
    project = repository(tmp_path, "scratch/text")
    (tmp_path / ".gitignore").write_text("scratch/\n")
    assert names(project) == ["predictor.py"]


@pytest.mark.parametrize("pattern", ["!", "[z-a]"])
def test_a_pattern_of_git_that_means_nothing(root: Path, pattern: str) -> None:
    (root / ".gitignore").write_text(pattern)
    with pytest.raises(ProjectError, match=r"\.gitignore has an invalid pattern"):
        names(root)
