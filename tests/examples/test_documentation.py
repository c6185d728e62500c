"""What the documentation names exists: files, commands, options, fields."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from cortex_cli.main import cli

from cortex_cdk.config import load_cluster, load_config
from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("README.md")])
CODE_PAGES = sorted([ROOT / "CONTRIBUTING.md", *(ROOT / "docs/decisions").glob("*.md")])
# Where a path of such a page may start.
STARTS = [ROOT, *(ROOT / name for name in ("cortex_cdk", "cortex_cdk/localcloud", "serving_image/cortex_serving"))]
STARTS += [ROOT / name for name in ("serving_image", "cli/cortex_cli", "stacks/cortex_stacks")]
PREDICTOR = "class PythonPredictor:\n    def __init__(self, config): ...\n    def predict(self, payload): ...\n"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", CODE_PAGES, ids=lambda page: page.name)
def test_code_that_is_named_exists(page: Path) -> None:
    """Paths such as ``deploy/plan.py`` and ``localcloud/services/``, modules such as ``cortex_serving.contract``."""
    text = page.read_text()
    paths = re.findall(r"`([\w.-]+/(?:[\w./-]*\.(?:py|sh|toml|csv|json|txt)|[\w./-]*/|))`", text)
    # Not those of a user's project, of the local cloud's state, and with a NAME that stands for any.
    paths = [path for path in paths if not re.search(r"/predictor\.py$|^aside/|\b[A-Z]+/", path)]
    paths += [f"{name.replace('.', '/')}.py" for name in re.findall(r"`(cortex_[a-z]+(?:\.[a-z_]+)+)`", text)]
    starts = [*STARTS, *(start.parent for start in STARTS)]
    assert [path for path in paths if not any((start / path).exists() for start in starts)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_are_named_exist(page: Path) -> None:
    """Such as ``tests/unit/test_names.py::test_a_name``."""
    for file, name in re.findall(r"`([\w/.]+\.py)::(\w+)`", page.read_text()):
        assert f"\ndef {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


def test_each_decision_has_a_number_of_its_own() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    titles = [page.read_text().partition(". ")[0] for page in decisions]
    assert titles == [f"# {int(page.name[:4])}" for page in decisions]
    assert len(set(titles)) == len(titles)


def test_the_map_of_the_tree_is_right() -> None:
    """A line has one or more names, two spaces, and a description; the indentation tells the folder that it is in."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where things are")[2].partition("\nEach package")[0]
    lines = re.findall(r"^    ( *)(\S.*?)(?:  .*)?$", section, re.MULTILINE)
    assert len(lines) > 30
    folders: list[tuple[int, Path]] = []
    for indent, names in lines:
        folders = [(depth, folder) for depth, folder in folders if depth < len(indent)]
        parent = folders[-1][1] if folders else ROOT
        paths = [parent / name for name in names.split()]
        assert [path for path in paths if not path.exists()] == []
        folders.append((len(indent), paths[0]))


def calls(page: Path) -> list[list[str]]:
    """Every call of ``cortex`` that stands at the start of a line of code, or in single backquotes."""
    text = page.read_text()
    found = re.findall(r"^(?:\$ |    )?(?:\.venv/bin/)?cortex ([a-z].*)$", text, re.MULTILINE)
    found += re.findall(r"`cortex ([a-z][^`]*)`", text)
    return [re.split(r"[;|#]", call)[0].split() for call in found]


def test_calls_are_found() -> None:
    assert ["deploy", "--env", "prod"] in calls(ROOT / "docs/tutorial.md")
    assert sum(len(calls(page)) for page in PAGES) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    for words in calls(page):
        command: click.Command | None = cli
        context = click.Context(cli)
        while isinstance(command, click.Group) and words and re.fullmatch("[a-z]+", words[0]):
            command = command.get_command(context, words.pop(0))
        assert command is not None, words
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= known, f"cortex {command.name} {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_configurations_are_right(page: Path, tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    for number, block in enumerate(blocks(page, "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        if block.startswith("- name: ") and "type: onnx" not in block:
            assert not load_config(file).warnings
        elif block.startswith("name: "):
            load_cluster(file)
