"""The project archive: what is in it, and that the same content gives the same bytes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cortex_serving.project import unpack
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cortex_cdk.errors import ProjectError
from cortex_cdk.project import archive as project_module
from cortex_cdk.project.archive import MIB, Exclusions, archive, collect


def write(root: Path, *names: str, content: str = "x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    write(folder, "cortex.yaml", "predictor.py", "lib/model.py")
    return folder


def names(root: Path) -> list[str]:
    return [file.name for file in collect(root, root / "cortex.yaml").files]


def pack(root: Path, to: Path) -> project_module.ProjectArchive:
    return archive(collect(root, root / "cortex.yaml"), to)


@pytest.mark.parametrize("name", ["data\\labels.txt", "lib/a\\b", "a\\b/c", "\\"])
def test_a_name_with_a_backslash_is_refused(root: Path, name: str) -> None:
    write(root, name)
    with pytest.raises(ProjectError, match="has a backslash") as caught:
        collect(root, root / "cortex.yaml")
    assert caught.value.hint is not None and caught.value.hint.startswith("move the file to ")
    (root / ".cortexignore").write_text("*\\\\*\n")
    assert names(root) == ["lib/model.py", "predictor.py"]


@settings(deadline=None, max_examples=60)
@given(
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=60).filter(
        lambda name: len(name.encode()) < 250
    )
)
def test_whatever_packs_unpacks_in_a_replica(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root, replica = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("replica")
    assume(name not in (".", ".."))
    (root / name).write_text("content")
    try:
        packed = pack(root, root.parent / f"{root.name}.zip")
    except ProjectError:
        assert "\\" in name
        return
    unpack(packed.path.read_bytes(), replica)
    assert [path.name for path in replica.iterdir()] == ([name] if packed.file_count else [])


def test_everything_but_the_configuration_file_is_packed(root: Path, tmp_path: Path) -> None:
    write(root, "other.yaml", "sub/cortex.yaml")
    packed = pack(root, tmp_path / "p.zip")
    with zipfile.ZipFile(packed.path) as opened:
        assert opened.namelist() == ["lib/model.py", "other.yaml", "predictor.py", "sub/cortex.yaml"]
        assert opened.read("predictor.py") == b"x"
        assert opened.testzip() is None
    assert packed.file_count == 4
    assert packed.size == packed.path.stat().st_size
    assert packed.warnings == ()
    assert list(tmp_path.glob("*.partial")) == []


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".hidden",
        "lib/.hidden",
        "a.pyc",
        "lib/b.pyo",
        "c.pyd",
        "__pycache__/x.txt",
        "lib/__pycache__/y",
        "cortex-debug-20201001.tgz",
        "cortex-debug-dir/file",
        ".env/bin/python",
        ".cortexignore",
    ],
)
def test_left_out(root: Path, name: str) -> None:
    write(root, name, content="")
    assert names(root) == ["lib/model.py", "predictor.py"]


def test_env_file_is_always_in(root: Path) -> None:
    write(root, ".env", "lib/.env")
    (root / ".cortexignore").write_text(".env\n")
    assert names(root) == [".env", "lib/.env", "lib/model.py", "predictor.py"]


def test_ignore_file_has_the_syntax_of_git(root: Path) -> None:
    write(
        root, "data/big.bin", "lib/data/ok.bin", "a.log", "keep.log", "deep/x/y/z.tmp", "only/here.txt", "only/not.md"
    )
    (root / ".cortexignore").write_text("# comment\n/data/\n*.log\n!keep.log\ndeep/**/*.tmp\nonly/*\n!only/*.md\n")
    assert names(root) == ["keep.log", "lib/data/ok.bin", "lib/model.py", "only/not.md", "predictor.py"]


def test_what_is_in_an_ignored_folder_cannot_come_back(root: Path) -> None:
    write(root, "data/a", "data/b")
    (root / ".cortexignore").write_text("data/\n!data/b\n")
    assert names(root) == ["lib/model.py", "predictor.py"]


@pytest.mark.parametrize("pattern", ["!", "[z-a]"])
def test_a_pattern_that_means_nothing(root: Path, pattern: str) -> None:
    (root / ".cortexignore").write_text(pattern)
    with pytest.raises(ProjectError, match=r"\.cortexignore has an invalid pattern"):
        names(root)


def test_ignore_file_that_is_not_text(root: Path) -> None:
    (root / ".cortexignore").write_bytes(b"\xff\xfe")
    with pytest.raises(ProjectError, match="cannot be read"):
        names(root)


def test_virtual_environments_are_left_out(root: Path) -> None:
    write(root, "venv/pyvenv.cfg", "venv/lib/x.py")
    assert names(root) == ["lib/model.py", "predictor.py"]


def test_exclusions_know_a_path_by_the_folders_around_it(root: Path) -> None:
    (root / ".cortexignore").write_text("lib/\n")
    rules = Exclusions(root, root / "cortex.yaml")
    assert rules.path("lib/model.py")
    assert rules.path(".git/config")
    assert rules.path("cortex.yaml")
    assert not rules.path("predictor.py")


def test_same_content_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    write(root, "ä/ß.py", "Z.py", "a.py")
    first = pack(root, tmp_path / "1.zip")
    copy = tmp_path / "copy"
    previous = os.umask(0o077)
    try:
        # Other order, other times, other permissions, other place.
        write(copy, "a.py", "Z.py", "ä/ß.py", "lib/model.py", "predictor.py", "cortex.yaml")
    finally:
        os.umask(previous)
    (copy / "cortex.yaml").write_text("another configuration")
    for file in copy.rglob("*.py"):
        os.utime(file, (1, 1))
    second = pack(copy, tmp_path / "2.zip")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.digest == second.digest


def test_same_bytes_in_another_process_and_locale(root: Path, tmp_path: Path) -> None:
    write(root, "ä.py", "z.py", "B.py")
    first = pack(root, tmp_path / "1.zip")
    program = (
        "import sys, pathlib; from cortex_cdk.project.archive import *; root = pathlib.Path(sys.argv[1]);"
        "print(archive(collect(root, root / 'cortex.yaml'), pathlib.Path(sys.argv[2])).digest)"
    )
    environment = {**os.environ, "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", program, str(root), str(tmp_path / "2.zip")]
    second = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert second.stdout.strip() == first.digest
    assert (tmp_path / "2.zip").read_bytes() == first.path.read_bytes()


def test_every_change_of_content_changes_the_digest(root: Path, tmp_path: Path) -> None:
    digests = [pack(root, tmp_path / "0.zip").digest]
    (root / "predictor.py").write_text("y")
    digests.append(pack(root, tmp_path / "1.zip").digest)
    (root / "predictor.py").chmod(0o755)
    digests.append(pack(root, tmp_path / "2.zip").digest)
    (root / "predictor.py").rename(root / "predictor2.py")
    digests.append(pack(root, tmp_path / "3.zip").digest)
    write(root, "empty", content="")
    digests.append(pack(root, tmp_path / "4.zip").digest)
    assert len(set(digests)) == 5


def test_execute_permission_is_kept(root: Path, tmp_path: Path) -> None:
    write(root, "run.sh")
    (root / "run.sh").chmod(0o700)
    (root / "predictor.py").chmod(0o600)
    with zipfile.ZipFile(pack(root, tmp_path / "p.zip").path) as opened:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in opened.infolist()}
    assert modes == {"lib/model.py": "0o100644", "predictor.py": "0o100644", "run.sh": "0o100755"}


def test_links_inside_the_project_are_packed_as_what_they_name(root: Path, tmp_path: Path) -> None:
    (root / "alias.py").symlink_to("predictor.py")
    (root / "alias").symlink_to(root / "lib", target_is_directory=True)
    packed = pack(root, tmp_path / "p.zip")
    with zipfile.ZipFile(packed.path) as opened:
        assert opened.namelist() == ["alias.py", "alias/model.py", "lib/model.py", "predictor.py"]
        assert opened.read("alias.py") == b"x"


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "/etc", "lib/../../secret"])
def test_links_out_of_the_project_are_refused(root: Path, target: str) -> None:
    write(root.parent, "secret")
    (root / "link").symlink_to(target)
    with pytest.raises(ProjectError, match="the link link leads out of the project") as caught:
        names(root)
    assert ".cortexignore" in (caught.value.hint or "")
    (root / ".cortexignore").write_text("link\n")
    assert "link" not in names(root)


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("a", "nothing", "leads nowhere"),
        ("a", "a", "symbolic links"),
        ("lib/up", "..", "in itself"),
        ("lib/me", ".", "in itself"),
    ],
)
def test_links_that_go_wrong(root: Path, name: str, target: str, message: str) -> None:
    (root / name).symlink_to(target)
    with pytest.raises(ProjectError, match=message):
        names(root)


def test_a_project_that_is_itself_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert names(tmp_path / "link") == ["lib/model.py", "predictor.py"]


def test_special_files_are_left_out(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # The path of a socket has at most 107 characters.
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        assert names(root) == ["lib/model.py", "predictor.py"]


def test_a_file_replaced_by_a_link_after_it_was_found(root: Path, tmp_path: Path) -> None:
    project = collect(root, root / "cortex.yaml")
    write(tmp_path, "secret")
    (root / "predictor.py").unlink()
    (root / "predictor.py").symlink_to(tmp_path / "secret")
    with pytest.raises(ProjectError):
        archive(project, tmp_path / "p.zip")
    assert not (tmp_path / "p.zip").exists()
    assert not (tmp_path / "p.zip.partial").exists()


def test_a_file_that_changes_while_it_is_packed(root: Path, tmp_path: Path) -> None:
    project = collect(root, root / "cortex.yaml")
    (root / "predictor.py").write_text("longer")
    with pytest.raises(ProjectError, match="changed while it was packed"):
        archive(project, tmp_path / "p.zip")


def test_home_and_root_are_no_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "homes" / "me"
    write(home, "cortex.yaml", "work/predictor.py")
    monkeypatch.setenv("HOME", str(home))
    for folder in (Path("/"), home, home.parent):
        with pytest.raises(ProjectError, match="is not a project"):
            collect(folder, home / "cortex.yaml")
    assert names(home / "work") == ["predictor.py"]


def test_names_that_are_not_utf8(root: Path) -> None:
    (root / os.fsdecode(b"\xff.txt")).write_text("")
    with pytest.raises(ProjectError, match="is not UTF-8"):
        names(root)


def sparse(file: Path, size: int) -> None:
    with file.open("wb") as stream:
        stream.truncate(size)


def test_one_file_above_the_limit(root: Path) -> None:
    sparse(root / "model.bin", 512 * MIB + 1)
    with pytest.raises(ProjectError, match=r"model\.bin has 512 MiB, more than 512 MiB"):
        names(root)


def test_all_files_above_the_limit(root: Path) -> None:
    sparse(root / "a.bin", 300 * MIB)
    sparse(root / "b.bin", 250 * MIB)
    with pytest.raises(ProjectError, match="has 550 MiB") as caught:
        names(root)
    assert caught.value.details[0] == "300 MiB  a.bin"


def test_warnings(root: Path, tmp_path: Path) -> None:
    (root / "noise").write_bytes(os.urandom(10 * MIB))
    sparse(root / "below", 10 * MIB - 1)
    packed = pack(root, tmp_path / "p.zip")
    assert [warning.split(";")[0] for warning in packed.warnings] == [
        "noise has 10 MiB",
        "the packed project has 10 MiB",
    ]


def test_warning_for_many_files(root: Path) -> None:
    write(root, *(f"many/{number}" for number in range(998)), content="")
    project = collect(root, root / "cortex.yaml")
    assert len(project.files) == 1000
    assert project.warnings[0].startswith("the project has 1000 files")
    (root / "many/0").unlink()
    assert collect(root, root / "cortex.yaml").warnings == ()


def test_no_more_than_so_many_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_module, "MAX_PROJECT_FILES", 1)
    with pytest.raises(ProjectError, match="more than 1 files"):
        names(root)


def test_destination_that_cannot_be_written(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be packed"):
        pack(root, tmp_path / "missing" / "p.zip")
