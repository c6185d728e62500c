"""The user's configuration of pip, as uv gets it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cortex_cdk.localcloud.python_environments.pip_configuration import read


def write(home: Path, text: str) -> dict[str, str]:
    """Write the user's pip.conf, and return variables that leave the machine's files out."""
    file = home / ".config/pip/pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return {"XDG_CONFIG_DIRS": str(home / "nowhere")}


def test_another_place_of_the_packages_counts_for_uv(tmp_path: Path) -> None:
    text = f"[global]\nindex-url = https://me:secret@mirror.example/simple\nfind-links = {tmp_path} /nowhere/wheels\n"
    found = read(write(tmp_path, text), tmp_path)
    assert found.variables["UV_DEFAULT_INDEX"] == "https://me:secret@mirror.example/simple"
    assert found.variables["UV_FIND_LINKS"].split(",")[-1] == str(tmp_path), "pip ignores folders that are not there"
    assert found.notes == (
        "packages come from https://****@mirror.example/simple, the index-url of your pip configuration",
    )


@pytest.mark.parametrize("section", ["global", "install"])
def test_variables_count_more_than_files(section: str, tmp_path: Path) -> None:
    environ = write(tmp_path, f"[{section}]\nindex-url = https://file.example/simple\n")
    found = read({**environ, "PIP_INDEX_URL": "https://variable.example/simple"}, tmp_path)
    assert found.variables["UV_DEFAULT_INDEX"] == "https://variable.example/simple"


def test_further_packages_do_not_count_and_that_is_said(tmp_path: Path) -> None:
    found = read(write(tmp_path, "[global]\nextra-index-url = https://me:secret@own.example/simple\n"), tmp_path)
    assert not {"UV_INDEX", "UV_EXTRA_INDEX_URL"} & set(found.variables)
    assert found.unused
    assert "https://****@own.example/simple" in found.unused
    assert "requirements.txt" in found.unused


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"])
def test_who_has_configured_uv_is_left_alone(name: str, tmp_path: Path) -> None:
    environ = write(tmp_path, "[global]\nindex-url = https://a.example\nextra-index-url = https://b.example\n")
    found = read({**environ, name: "https://uv.example/simple"}, tmp_path)
    assert "UV_DEFAULT_INDEX" not in found.variables
    assert found.unused is None


@pytest.mark.parametrize(("value", "counts"), [("1", True), ("true", True), ("0", False), ("false", False)])
def test_a_machine_without_indexes(value: str, counts: bool, tmp_path: Path) -> None:
    environ = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": value}
    assert ("UV_NO_INDEX" in read(environ, tmp_path).variables) == counts


@pytest.mark.parametrize("text", ["index-url = x", "[global\n", "[global]\nindex-url\n", "\xff"])
def test_a_broken_file_counts_as_empty(text: str, tmp_path: Path) -> None:
    assert "UV_DEFAULT_INDEX" not in read(write(tmp_path, text), tmp_path).variables


def test_a_file_that_a_variable_names_and_none_at_all(tmp_path: Path) -> None:
    environ = write(tmp_path, "[global]\nindex-url = https://a.example\n")
    named = tmp_path / "other.conf"
    named.write_text("[install]\nindex-url = https://b.example\n")
    assert (
        read({**environ, "PIP_CONFIG_FILE": str(named)}, tmp_path).variables["UV_DEFAULT_INDEX"] == "https://b.example"
    )
    assert "UV_DEFAULT_INDEX" not in read({**environ, "PIP_CONFIG_FILE": os.devnull}, tmp_path).variables
