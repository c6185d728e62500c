"""The Dockerfiles, as far as they can be tried without Docker: their form, what they pin, the shell of their steps."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from cortex_serving.image_context import program_requirements

from cortex_cdk.deploy.images import DOCKERFILES, Flavour, build_context
from cortex_cdk.project.dependencies import Dependencies, DependencyFile
from tests.conftest import ROOT

BINARIES = Path(sys.executable).parent
DOCKER = {gpu: (ROOT / "serving_image" / name).read_text() for gpu, name in DOCKERFILES.items()}
both = pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])


def instructions(text: str, name: str) -> list[str]:
    """What follows an instruction, without comments and line ends, and without what only BuildKit understands."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [re.sub(r"--mount=\S+\s+", "", line) for line in re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)]


def variables(text: str, *names: str) -> dict[str, str]:
    """The variables that ENV or ARG instructions give to later steps."""
    lines = [line for name in names for line in instructions(text, name)]
    words = [word for line in lines for word in shlex.split(line) if "=" in word]
    return dict(word.split("=", 1) for word in words)


def context(folder: Path, files: dict[str, str], *, gpu: bool = False, base_image: str | None = None) -> Path:
    """A build context as the deployer makes it."""
    content = {name: DependencyFile(text.encode(), executable=False) for name, text in files.items()}
    for name, file in build_context(Dependencies(content, None, ()), Flavour(gpu, base_image)).files.items():
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
    named = [line.split()[0] for line in instructions(DOCKER[gpu], "FROM")]
    images = [variables(DOCKER[gpu], "ARG")["BASE_IMAGE"], *(name for name in named if "/" in name)]
    assert len(images) == 3
    for image in images:
        assert re.search(r":\d[\w.-]*(@sha256:[0-9a-f]{64})?$", image), image
        assert not image.startswith(("docker.io", "library")), "Docker Hub limits pulls"
        assert "." in image.partition("/")[0], "Docker Hub limits pulls"
    uv = re.search(r"^uv==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert uv
    assert any(image.partition("@")[0] == f"ghcr.io/astral-sh/uv:{uv[1]}" for image in images)


def test_the_serving_program_has_the_dependencies_that_its_tests_run_with() -> None:
    tested = set((ROOT / "constraints.txt").read_text().splitlines())
    installed = (ROOT / "serving_image" / "constraints.txt").read_text().splitlines()
    assert set(installed) <= tested, "make lock writes both"
    names = {line.partition("==")[0] for line in installed}
    assert {re.split(r"[<>=]", line)[0] for line in program_requirements()} <= names


def test_the_images_differ_in_what_is_installed_for_gpus_alone() -> None:
    cpu, gpu = (set(re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).splitlines()) for text in DOCKER.values())
    assert cpu - gpu == {'ARG UV_TORCH_BACKEND=cpu CONDA_OVERRIDE_CUDA=""'}
    # The driver of the ECS GPU AMI is 580, which is CUDA 13.0.
    installed = "ARG UV_TORCH_BACKEND=auto UV_CUDA_DRIVER_VERSION=580.65 CONDA_OVERRIDE_CUDA=13.0"
    assert gpu - cpu == {
        installed,
        "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    }


@both
def test_what_changes_often_comes_last(gpu: bool) -> None:
    """A layer is made again when something that its step sees has changed, and so are all that follow."""
    joined = re.sub(r"\\\n", " ", DOCKER[gpu])
    system, *rest = re.findall(r"^RUN (.*)$", joined, re.MULTILINE)
    assert "--mount" not in system
    assert not re.findall(r"^(?:COPY|ADD) ", joined, re.MULTILINE), "a copied context is a layer before all others"
    seen = [re.findall(r"--mount=source=([^,]+),", step) for step in rest]
    own = ["serving_image/install.sh", "serving_image/requirements.txt"]
    tested = ["serving_image/constraints.txt", "serving_image/runtimes.txt"]
    assert seen == [["project", *own], [*own, *tested], ["serving_image"]]


@both
def test_replicas_do_not_run_as_root(gpu: bool) -> None:
    assert "PATH" in variables(DOCKER[gpu], "ENV")
    # What uv installs below root's home could not be read by the user of the replicas.
    assert variables(DOCKER[gpu], "ENV")["UV_PYTHON_INSTALL_DIR"].startswith("/opt/cortex/")
    assert DOCKER[gpu].split("USER cortex")[1].count("RUN") == 0


def test_the_steps_that_install_make_an_environment_that_serves(tmp_path: Path) -> None:
    source, target = context(tmp_path / "context", {"requirements.txt": "toolz==0.12.1\n"}), tmp_path / "opt"
    target.mkdir()
    ours = ".".join(map(str, sys.version_info[:2]))
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "PYENV_"))}
    given = {name: value for name, value in variables(DOCKER[False], "ENV", "ARG").items() if name.startswith("UV_")}
    environ = {**kept, **given, "PATH": f"{BINARIES}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    said = []
    for step in instructions(DOCKER[False], "RUN")[1:]:
        command = step.replace("/opt/cortex", str(target)).replace("/run/context", str(source))
        assert " 3.11 " in command
        command = command.replace(" 3.11 ", f" {ours} ")
        done = subprocess.run(
            ["sh", "-c", command], cwd=target, env=environ, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said += [line for line in done.stdout.splitlines() if line.startswith("==> ")]
    assert said[1:] == [
        "==> requirements.txt",
        "==> dependencies of the serving program",
        "==> the serving program",
        "==> installed",
    ]
    environment = target / "environment"
    serve, python = (environment / "bin" / name for name in ("cortex-serve", "python"))
    assert "cortex-serve" in subprocess.run([serve, "--help"], capture_output=True, text=True, check=True).stdout
    code = "import toolz, cortex_serving; print(toolz.__version__, cortex_serving.__file__, toolz.__cached__)"
    printed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed[0] == "0.12.1"
    assert printed[1].startswith(f"{environment}/")
    # Replicas cannot write bytecode, and to compile all that is imported would take most of their start.
    installed = {"toolz", "falcon", "cortex_serving"}
    sources = [path for path in environment.rglob("*.py") if installed & set(path.parts)]
    assert len(sources) > 100
    assert not [path for path in sources if not Path(cache_from_source(str(path))).exists()]


def arguments_of(folder: Path) -> dict[str, str]:
    return variables((folder / "Dockerfile").read_text(), "ARG")


@both
@pytest.mark.parametrize(
    ("files", "packages", "conda"),
    [
        ({"requirements.txt": "click\n"}, "", "none"),
        ({"requirements.txt": "own @ git+https://example.com/own.git\n"}, "git", "none"),
        ({"requirements.txt": "-r m.txt\n", "m.txt": "git+https://example.com/own.git\n"}, "git", "none"),
        ({"requirements.txt": "", "conda-packages.txt": "rdkit\n"}, "", "micromamba"),
    ],
)
def test_git_and_conda_are_there_where_a_project_needs_them(
    gpu: bool, files: dict[str, str], packages: str, conda: str, tmp_path: Path
) -> None:
    found = arguments_of(context(tmp_path, files, gpu=gpu))
    assert (found["SYSTEM_PACKAGES"], found["CONDA"]) == (packages, conda)
    assert f"AS conda-{conda}\n" in DOCKER[gpu]


@both
def test_another_base_is_another_image(gpu: bool, tmp_path: Path) -> None:
    base = "nvcr.io/nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04"
    assert arguments_of(context(tmp_path, {}, gpu=gpu, base_image=base))["BASE_IMAGE"] == base
    nothing = Dependencies({}, None, ())
    assert build_context(nothing, Flavour(gpu, base)).tag != build_context(nothing, Flavour(gpu)).tag


@both
@pytest.mark.parametrize(
    ("requirements", "chosen"),
    [
        ("torch\n", False),
        ("torch>=2\nnumpy\n", False),
        ("--extra-index-url https://download.pytorch.org/whl/cu126\ntorch==2.9.0\n", True),
        ("torch==2.9.0+cu126\n", True),
        ("torch==2.9.0 --hash=sha256:00\n", True),
    ],
)
def test_which_wheels_of_pytorch_are_installed(gpu: bool, requirements: str, chosen: bool, tmp_path: Path) -> None:
    """A uv at the edge of the world notes what it was told: PyTorch's own indexes cannot be reached by the tests."""
    source, target = context(tmp_path / "context", {"requirements.txt": requirements}, gpu=gpu), tmp_path / "opt"
    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\ncase $1 in venv) exec {BINARIES}/uv "$@";; esac\n'
        f'[ "$1" = python ] && echo {sys.executable} || echo "backend ${{UV_TORCH_BACKEND-none}}"\n'
    )
    uv.chmod(0o755)
    target.mkdir()
    environ = {**os.environ, **variables(DOCKER[gpu], "ARG"), "UV": str(uv)}
    script = [f"{source}/serving_image/install.sh", str(source), f"{target}/environment", sys.executable, "project"]
    done = subprocess.run(["sh", *script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"backend {'none' if chosen else 'auto' if gpu else 'cpu'}"
