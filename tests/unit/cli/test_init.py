"""``cortex init``: what is written, how it is named, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.config import Config, load_config
from cortex_cdk.config.realtime_api import LONGEST_NAME, parse_name
from cortex_cdk.templates import SCHEMA_FILE, _api_name, start_project, templates
from tests.conftest import ROOT, Cortex
from tests.json_output import read_json

NAMES = list(templates())
NINE = {"python", "onnx", "tensorflow", "pytorch", "batching", "many-models", "streaming", "splitter", "gpu"}


@pytest.fixture
def cortex(tmp_path: Path) -> Cortex:
    return Cortex(tmp_path / "home")


def test_templates_are_listed_with_what_they_show(cortex: Cortex) -> None:
    listed = read_json("init", cortex.ok("init", "--list", "-o", "json"))
    assert listed[0]["name"] == "python"
    assert {entry["name"] for entry in listed} >= NINE
    printed = cortex.ok("init", "--list")
    assert all(entry["summary"] in printed for entry in listed)
    assert max(map(len, printed.splitlines())) <= 120


def test_the_default_template_goes_into_the_current_folder_and_is_named_after_it(
    cortex: Cortex, tmp_path: Path
) -> None:
    folder = tmp_path / "My Model"
    folder.mkdir()
    printed = cortex.ok("init", cwd=folder)
    assert "cortex predict my-model sample.json" in printed
    assert "  cd " not in printed
    (api,) = load_config(folder).apis
    assert (api.name, api.predictor.type) == ("my-model", "python")
    assert "cortex predict my-model sample.json" in (folder / "README.md").read_text()
    assert "spam-filter" not in "".join(file.read_text() for file in folder.glob("[!.]*.*"))


@pytest.mark.parametrize("name", NAMES)
def test_a_new_project_is_valid_and_its_editor_finds_the_schema(cortex: Cortex, tmp_path: Path, name: str) -> None:
    made = read_json("init", cortex.ok("init", name, "new", "-o", "json", cwd=tmp_path))
    folder = tmp_path / "new"
    assert (made["template"], made["name"], Path(made["folder"])) == (name, "new", folder)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(made["files"])
    valid = read_json("validate", cortex.ok("validate", "--strict", "-o", "json", cwd=folder))
    assert {*(api["name"] for api in valid["apis"]), *(one["name"] for one in valid["splitters"])} >= {"new"}
    # Of what is made for people, nothing gets to replicas.
    assert not {file["name"] for file in valid["files"]} & {"README.md", "test_predictor.py", "train.py", SCHEMA_FILE}
    text = (folder / "cortex.yaml").read_text()
    (schema,) = re.findall(r"\A# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    jsonschema.validate(yaml.safe_load(text), yaml.safe_load((folder / schema).read_text()))


def test_members_of_a_splitter_are_named_after_it(tmp_path: Path) -> None:
    made = start_project(templates()["splitter"], tmp_path / ("x" * 60))
    config = load_config(made.folder)
    assert [api.name for api in config.apis] == [f"{made.name}-few", f"{made.name}-many"]
    assert len(config.apis[1].name) == LONGEST_NAME


@pytest.mark.parametrize(
    ("folder", "name"),
    [("2024_Spam v1.2", "spam-v1-2"), ("Café", "cafe"), ("模型", "spam-filter"), ("healthz", "spam-filter")],
)
def test_a_folder_gives_the_name_as_far_as_a_name_may_have_its_letters(tmp_path: Path, folder: str, name: str) -> None:
    made = start_project(templates()["python"], tmp_path / folder)
    assert (made.name, load_config(made.folder).apis[0].name) == (name, name)


@given(st.text(max_size=80), st.integers(1, LONGEST_NAME))
def test_what_is_made_of_any_text_is_a_name_or_nothing(text: str, longest: int) -> None:
    name = _api_name(text, longest)
    assert not name or (parse_name(name) == name and len(name) <= longest)


@pytest.mark.parametrize("taken", ["cortex.yaml", "model.json", "sample.json/x", ".cortex/cortex.schema.json"])
def test_nothing_is_overwritten_and_then_nothing_is_written(cortex: Cortex, tmp_path: Path, taken: str) -> None:
    file = tmp_path / "project" / taken
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    done = cortex.run("init", "python", "project", cwd=tmp_path)
    assert done.returncode == 1
    assert f"has {taken.removesuffix('/x')} already, and nothing is overwritten" in done.stderr
    assert [path for path in (tmp_path / "project").rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "mine"


def test_a_file_in_the_place_of_a_folder_is_not_overwritten(cortex: Cortex, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("mine")
    for folder, said in ((".", "has models already"), ("models", "is a file")):
        done = cortex.run("init", "many-models", folder, cwd=tmp_path)
        assert done.returncode == 1
        assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_files_of_other_names_stay(cortex: Cortex, tmp_path: Path) -> None:
    (tmp_path / "notebook.ipynb").write_text("{}")
    cortex.ok("init", cwd=tmp_path)
    assert (tmp_path / "notebook.ipynb").read_text() == "{}"


def test_the_home_folder_is_no_project(cortex: Cortex, tmp_path: Path) -> None:
    cortex.environ["HOME"] = str(tmp_path)
    done = cortex.run("init", cwd=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "is not a project" in done.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [("onxx", "did you mean onnx?"), ("Torch", "did you mean pytorch?"), ("qqq", "there are python, batching")],
)
def test_an_unknown_template_is_refused_with_a_suggestion(cortex: Cortex, tmp_path: Path, word: str, said: str) -> None:
    done = cortex.run("init", word, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert f"cortex init python {word}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def uncommented(text: str) -> str:
    """A configuration with every field that is commented out."""
    return re.sub(r"^( *)# ((?:  )*[a-z_]+:(?: .*)?)$", r"\1\2", text, flags=re.MULTILINE)


def examples(text: str) -> set[str]:
    """The fields whose comment says that the value is an example rather than the default."""
    return set(re.findall(r"^ *# +([a-z_]+):.*such as this", text, re.MULTILINE)) | {"max_body_bytes"}


@pytest.mark.parametrize("name", sorted(NINE))
def test_fields_that_are_commented_out_are_the_defaults(tmp_path: Path, name: str) -> None:
    made = start_project(templates()[name], tmp_path / "project")
    before, file = load_config(made.folder), made.folder / "cortex.yaml"
    text = file.read_text()
    shown = uncommented(text)
    assert len(shown) < len(text) - 20
    # With the example of batching, the slots of a replica and so the target of scaling would be others.
    file.write_text(re.sub(r"^    server_side_batching: .*such as this\n(      .*\n)*", "", shown, flags=re.MULTILINE))
    after = load_config(made.folder)
    assert not after.warnings
    assert fields(after, examples(text)) == fields(before, examples(text))


def fields(config: Config, but: set[str]) -> list[dict[str, object]]:
    found = []
    for resource in config.resources:
        values = resource.model_dump(exclude=but)
        for section in ("predictor", "networking"):
            values[section] = {key: value for key, value in values.get(section, {}).items() if key not in but}
        found.append(values)
    return found


RUN_TESTS = """
import os, sys, pytest
for folder in sys.argv[1:]:
    os.chdir(folder)
    sys.path.insert(0, folder)
    code = pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", folder, "test_predictor.py"])
    print("code of", os.path.basename(folder), int(code))
    sys.path.remove(folder)
    for name in ("predictor", "test_predictor"):
        sys.modules.pop(name, None)
"""


def test_the_tests_of_each_template_pass(tmp_path: Path) -> None:
    folders = [start_project(template, tmp_path / name).folder for name, template in templates().items()]
    command = [sys.executable, "-c", RUN_TESTS, *map(str, folders)]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    codes = dict(re.findall(r"^code of (\S+) (\d)$", done.stdout, re.MULTILINE))
    # 5: all tests were skipped, as the template's framework is not installed here.
    assert codes == {name: "5" if name in ("tensorflow", "pytorch", "gpu") else "0" for name in NAMES}, done.stdout


def test_every_template_is_in_the_list_of_examples() -> None:
    listed = re.findall(r"^\| \[([\w-]+)\]", (ROOT / "examples/README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(NAMES)
