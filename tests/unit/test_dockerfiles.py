"""The Dockerfiles, as far as they can be tried without Docker: their form, what they pin, the shell of their steps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cortex_cdk.deploy.images import DOCKERFILES, build_context
from cortex_cdk.project.dependencies import Dependencies, DependencyFile
from tests.conftest import ROOT

BINARIES = Path(sys.executable).parent
DOCKER = {gpu: (ROOT / "serving_image" / name).read_text() for gpu, name in DOCKERFILES.items()}
both = pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])


def steps(text: str) -> list[str]:
    """The shell of the RUN instructions, without what only BuildKit understands."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [re.sub(r"--mount=\S+\s+", "", line) for line in re.findall(r"^RUN (.*)$", joined, re.MULTILINE)]


def context(folder: Path, requirements: str, *, gpu: bool) -> Path:
    """A build context as the deployer makes it, where the Dockerfile puts it."""
    dependencies = Dependencies({"requirements.txt": DependencyFile(requirements.encode(), executable=False)}, None, ())
    for name, file in build_context(dependencies, gpu=gpu).files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    return folder


@both
def test_hadolint_finds_nothing(gpu: bool) -> None:
    done = subprocess.run(
        [BINARIES / "hadolint", "--failure-threshold", "warning", "-"],
        input=DOCKER[gpu],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@both
def test_whatever_comes_from_elsewhere_is_pinned(gpu: bool) -> None:
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", DOCKER[gpu], re.MULTILINE)
    mounted = re.findall(r"--mount=from=([^,]+),", DOCKER[gpu])
    assert len(mounted) == 2
    for image in (base, *mounted):
        assert re.search(r":\d[\w.-]*$", image), image
        assert not image.startswith(("docker.io", "library")), "Docker Hub limits pulls"
        assert "." in image.partition("/")[0], "Docker Hub limits pulls"
    uv = re.search(r"^uv==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert uv
    assert f"ghcr.io/astral-sh/uv:{uv[1]}" in mounted


def test_both_images_are_made_alike() -> None:
    cpu, gpu = (steps(text)[-2:] for text in DOCKER.values())
    assert cpu == gpu
    assert cpu[0].split()[:5] == ["sh", "serving_image/install.sh", "/opt/cortex", "/opt/cortex/environment", "3.11"]
    for text in DOCKER.values():
        assert "PATH=/opt/cortex/environment/bin:$PATH" in text
        # What uv installs below root's home could not be read by the user of the replicas.
        assert "UV_PYTHON_INSTALL_DIR=/opt/cortex/python" in text
        assert text.split("USER cortex")[1].count("RUN") == 0


def test_the_step_that_installs_makes_an_environment_that_serves(tmp_path: Path) -> None:
    folder = context(tmp_path / "opt", "toolz==0.12.1\n", gpu=False)
    ours = ".".join(map(str, sys.version_info[:2]))
    command = steps(DOCKER[False])[-2].replace("/opt/cortex", str(folder)).replace(" 3.11 ", f" {ours} ")
    assert f" {ours} " in command
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "PYENV_"))}
    environ = {**kept, "PATH": f"{BINARIES}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "==> requirements.txt" in done.stdout
    serve, python = (folder / "environment/bin" / name for name in ("cortex-serve", "python"))
    assert "cortex-serve" in subprocess.run([serve, "--help"], capture_output=True, text=True, check=True).stdout
    code = "import toolz, cortex_serving; print(toolz.__version__, cortex_serving.__file__)"
    printed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.startswith(f"0.12.1 {folder}/environment/")


@both
@pytest.mark.parametrize(
    ("requirements", "wanted"), [("click\n", False), ("own @ git+https://example.com/own.git\n", True)]
)
def test_git_is_installed_where_a_requirement_needs_it(
    gpu: bool, requirements: str, wanted: bool, tmp_path: Path
) -> None:
    folder = context(tmp_path / "opt", requirements, gpu=gpu)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apt-get").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    (programs / "apt-get").chmod(0o755)
    # It would remove the lists of this machine.
    (programs / "rm").symlink_to(shutil.which("true") or "")
    environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", steps(DOCKER[gpu])[0]], cwd=folder, env=environ, check=True)
    calls = (tmp_path / "calls").read_text() if (tmp_path / "calls").exists() else ""
    assert ("git" in calls.split()) == wanted
