"""The packages as users install them: wheels built from the source distributions, in an environment of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from uv import find_uv_bin

from tests.conftest import ROOT, Cortex

PACKAGES = {
    "cortex_cdk": ROOT / "cortex_cdk",
    "cortex_cli": ROOT / "cli/cortex_cli",
    "cortex_stacks": ROOT / "stacks/cortex_stacks",
    "cortex_serving": ROOT / "serving_image/cortex_serving",
}
IMAGE = ("Dockerfile", "Dockerfile.gpu", "install.sh", "pyproject.toml", "README.md", "constraints.txt")
"""What an installed ``cortex_serving`` carries of ``serving_image/``, to build the image that it runs in."""


def uv(*arguments: str | Path) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"uv {arguments}\n{done.stderr}"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both wheels, each built from its own source distribution, as an index would have them."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, ROOT / "serving_image"):
        uv("build", "--no-progress", "--out-dir", folder, project)
    assert len(list(folder.glob("*.tar.gz"))) == 2
    found = sorted(folder.glob("*.whl"))
    assert [wheel.name.partition("-")[0] for wheel in found] == ["cortex_cdk", "cortex_serving"]
    return found


@pytest.fixture(scope="module")
def cortex(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cortex]:
    """``cortex`` of an environment that has nothing but the wheels and what they need."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    uv("venv", "--python", sys.executable, environment)
    cdk, serving = map(str, wheels)
    constraints = ROOT / "constraints.txt"
    uv("pip", "install", "--python", environment, "--constraints", constraints, f"{cdk}[local]", serving)
    cortex = Cortex(tmp_path_factory.mktemp("home"), program=environment / "bin/cortex")
    yield cortex
    cortex.ok("local", "down", cwd=environment)


def test_the_wheels_hold_the_packages_and_nothing_else(wheels: list[Path]) -> None:
    found = {name for wheel in wheels for name in ZipFile(wheel).namelist()}
    found = {name for name in found if ".dist-info/" not in name}
    wanted = {f"cortex_serving/_image/{name}" for name in IMAGE}
    listed = subprocess.run(["git", "ls-files", "examples"], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted |= {name.replace("examples/", "cortex_cdk/_templates/", 1) for name in listed.stdout.splitlines()}
    for package, folder in PACKAGES.items():
        files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        wanted |= {f"{package}/{path.relative_to(folder)}" for path in files}
    assert found == wanted
    assert {"cortex_cdk/capacity/instance_types.csv", "cortex_cdk/capacity/prices.json"} <= found
    assert {f"{package}/py.typed" for package in PACKAGES} <= found


def readme_example(folder: Path) -> None:
    """Write the files of README's "A model of your own"."""
    section = (ROOT / "README.md").read_text().partition("## A model of your own")[2]
    files = re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["predictor.py", "cortex.yaml"]
    for name, content in files:
        (folder / name).write_text(content)


def images(cortex: Cortex) -> set[str]:
    """The tags of the cluster's images."""
    found = cortex.aws("ecr").list_images(repositoryName="cortex-local")["imageIds"]
    return {image["imageTag"] for image in found}


@pytest.mark.timeout(600)
def test_the_example_of_the_readme_outside_any_checkout(cortex: Cortex, tmp_path: Path) -> None:
    readme_example(tmp_path)
    cortex.ok("deploy", cwd=tmp_path)
    payload = json.dumps({"text": "a fine day"})
    assert json.loads(cortex.ok("predict", "sentiment", "-", cwd=tmp_path, stdin=payload)) == {"positive": 1 / 3}

    # A template, which the wheels carry, too.
    cortex.ok("init", "streaming", "story", cwd=tmp_path)
    assert "story/cortex.yaml can be deployed" in cortex.ok("validate", "--strict", "story", cwd=tmp_path)
    cortex.ok("deploy", "story", cwd=tmp_path)
    assert "data: Alice" in cortex.ok("predict", "story", "story/sample.json", cwd=tmp_path)
    cortex.ok("delete", "story", cwd=tmp_path)
    shutil.rmtree(tmp_path / "story")

    # An image of its own: made by the script and of the serving program that the wheels carry.
    (tmp_path / "dependencies.sh").write_text("true\n")
    before = images(cortex)
    cortex.ok("deploy", cwd=tmp_path)
    assert len(images(cortex) - before) == 1
    assert json.loads(cortex.ok("predict", "sentiment", "-", cwd=tmp_path, stdin=payload)) == {"positive": 1 / 3}

    cortex.ok("delete", "sentiment", cwd=tmp_path)
    assert json.loads(cortex.ok("get", "-o", "json", cwd=tmp_path)) == []
    assert cortex.ok("local", "down", cwd=tmp_path) == "the local cloud was stopped\n"
