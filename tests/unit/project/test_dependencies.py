"""What a project installs: which files an image is built from, and what is refused before anything is built."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.deploy.images import Flavour, build_context
from cortex_cdk.errors import ConfigError
from cortex_cdk.project.archive import collect
from cortex_cdk.project.dependencies import Dependencies, read_dependencies
from cortex_cdk.project.python_version import OLDEST
from tests.conftest import ROOT
from tests.local.cli.mistakes import Content, write_files

WHEEL = "wheels/own-1-py3-none-any.whl"


def read(folder: Path, files: Mapping[str, Content]) -> Dependencies:
    write_files(folder, {"cortex.yaml": "", "predictor.py": "", **files})
    return read_dependencies(collect(folder, folder / "cortex.yaml"))


def problems(folder: Path, files: dict[str, Content]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(folder, files)
    return [str(problem).replace(f"{folder}/", "") for problem in error.value.problems]


# Which files belong to it


@pytest.mark.parametrize(
    ("files", "carried"),
    [
        ({}, set()),
        ({"requirements.txt": "numpy\n"}, set()),
        ({"requirements.txt": "-r more.txt\n-c limits/all.txt\n"}, {"more.txt", "limits/all.txt", "limits/top.txt"}),
        ({"requirements.txt": "--requirement=more.txt\n"}, {"more.txt"}),
        ({"requirements.txt": "./wheels/own-1-py3-none-any.whl[extra] ; python_version > '3'\n"}, {WHEEL}),
        ({"requirements.txt": "wheels/own-1-py3-none-any.whl \\\n  --hash=sha256:00\n"}, {WHEEL}),
        ({"requirements.txt": "--find-links wheels\nown\n"}, {WHEEL}),
        ({"requirements.txt": "-e pkg\n"}, {"pkg/setup.py", "pkg/own/__init__.py"}),
        ({"requirements.txt": "./pkg/\n"}, {"pkg/setup.py", "pkg/own/__init__.py"}),
        ({"requirements.txt": "git+https://example.com/own.git@main#egg=own\nown @ https://example.com/o.whl"}, set()),
        ({"requirements.txt": "-r https://example.com/more.txt\n--index-url https://example.com/simple\n"}, set()),
        ({"dependencies.sh": "mkdir -p ~/.config/pip && cp pip.conf ~/.config/pip/\n"}, {"pip.conf"}),
        ({"dependencies.sh": 'cp "$PWD/pip.conf" /etc/pip.conf\n'}, {"pip.conf"}),
        ({"dependencies.sh": 'cp "$(dirname "$0")/pip.conf" ~\n'}, {"pip.conf"}),
        ({"dependencies.sh": "pip install wheels/*.whl\n"}, {WHEEL}),
        ({"dependencies.sh": "pip install --find-links=wheels own\n"}, {WHEEL}),
        ({"dependencies.sh": "# cp pip.conf ~\ntrue\n"}, set()),
        ({"dependencies.sh": "bash tools/setup.sh\n"}, {"tools/setup.sh", "pip.conf"}),
        ({"conda-packages.txt": "rdkit\n"}, set()),
    ],
)
def test_what_is_named_belongs_to_it(files: dict[str, Content], carried: set[str], tmp_path: Path) -> None:
    beside: dict[str, Content] = {
        "more.txt": "click\n",
        "limits/all.txt": "-c top.txt\nclick<9\n",
        "limits/top.txt": "click<9\n",
        WHEEL: b"PK",
        "pkg/setup.py": "",
        "pkg/own/__init__.py": "",
        "pip.conf": "[global]\n",
        "tools/setup.sh": "cp pip.conf ~\n",
    }
    found = read(tmp_path, {**beside, **files})
    assert set(found.files) == {"requirements.txt", *files, *carried}


def test_a_point_is_the_whole_project_and_says_what_that_costs(tmp_path: Path) -> None:
    found = read(tmp_path, {"requirements.txt": "numpy\n.\n", "setup.py": "", "own/__init__.py": ""})
    assert set(found.files) == {"requirements.txt", "setup.py", "own/__init__.py", "predictor.py"}
    (warning,) = found.warnings
    assert (warning.line, warning.hint) == (2, "predictor.python_path imports a folder without installing it")


def test_scripts_stay_executable(tmp_path: Path) -> None:
    write_files(tmp_path, {"tools/make.sh": "true\n"})
    (tmp_path / "tools/make.sh").chmod(0o755)
    found = read(tmp_path, {"dependencies.sh": "./tools/make.sh\n"})
    assert found.files["tools/make.sh"].executable


# The version of Python


@pytest.mark.parametrize(
    ("text", "version"),
    [("3.12\n", "3.12"), ("# ours\n\n3.11.7 # pinned\n", "3.11.7"), ("cpython-3.13", "3.13"), ("", None)],
)
def test_the_version_of_python(text: str, version: str | None, tmp_path: Path) -> None:
    found = read(tmp_path, {".python-version": text})
    assert (found.python, found.warnings) == (version, ())


def test_names_that_are_no_version_are_said(tmp_path: Path) -> None:
    found = read(tmp_path, {".python-version": "my-environment\n"})
    assert found.python is None
    assert [warning.message for warning in found.warnings] == [
        "my-environment is not a version such as 3.12, and is ignored"
    ]


def test_python_from_conda_decides(tmp_path: Path) -> None:
    found = read(tmp_path, {".python-version": "3.11\n", "conda-packages.txt": "conda-forge::python=3.12\n"})
    assert found.python is None


def test_the_oldest_python_is_that_of_the_serving_program() -> None:
    assert f'requires-python = ">={OLDEST[0]}.{OLDEST[1]}"' in (ROOT / "serving_image/pyproject.toml").read_text()


# What is refused


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"requirements.txt": b"numpy\n\xff\xfen"}, "requirements.txt:2: is not UTF-8 text"),
        ({"requirements.txt": "numpy\n".encode("utf-16")}, "requirements.txt: starts with a byte order mark"),
        ({"requirements.txt": "click\n\nnumpy=>1\n"}, "requirements.txt:3: numpy=>1 is not a requirement"),
        ({"requirements.txt": "-r more.txt\n"}, "requirements.txt:1: more.txt does not exist"),
        ({"requirements.txt": "-r more.txt\n", "more.txt": "-c no.txt\n"}, "more.txt:1: no.txt does not exist"),
        ({"requirements.txt": "-r .more.txt\n", ".more.txt": ""}, "requirements.txt:1: .more.txt is left out of the"),
        ({"requirements.txt": "../own\n"}, "requirements.txt:1: ../own leads out of the project"),
        (
            {"requirements.txt": "/home/me/own.whl\n"},
            "requirements.txt:1: /home/me/own.whl exists on your machine only",
        ),
        ({"requirements.txt": "own @ file:///me/own.whl"}, "requirements.txt:1: file:///me/own.whl exists on your"),
        (
            {"requirements.txt": "--index-url https://${TOKEN}@example.com/\n"},
            "requirements.txt:1: ${TOKEN} is not set",
        ),
        ({"conda-packages.txt": b"rdkit\n\xe9"}, "conda-packages.txt:2: is not UTF-8 text"),
        ({"conda-packages.txt": "name: x\n"}, "conda-packages.txt:1: name: x is not a conda package"),
        ({"conda-packages.txt": "-c conda-forge\n"}, "conda-packages.txt:1: -c conda-forge is not a conda package"),
        (
            {"conda-packages.txt": "a\nflask=1.1=pypi_0\n"},
            "conda-packages.txt:2: flask comes from PyPI, not from conda",
        ),
        ({"conda-packages.txt": "python=3.6.9\n"}, "conda-packages.txt:1: Python 3.6 is too old"),
        ({".python-version": "3.8\n"}, ".python-version:1: Python 3.8 is too old"),
        ({"dependencies.sh": "true\r\nfalse\r\n"}, "dependencies.sh:1: has Windows line ends (CRLF)"),
        ({"dependencies.sh": "cp /mnt/project/pip.conf ~\n"}, "dependencies.sh:1: /mnt/project is empty while"),
        ({"dependencies.sh": "\ufefftrue\n"}, "dependencies.sh: starts with a byte order mark"),
    ],
)
def test_what_cannot_be_installed_is_refused(files: dict[str, Content], message: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, files)
    assert found.startswith(message)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash looks at the script")
def test_bash_looks_at_scripts_and_runs_nothing(tmp_path: Path) -> None:
    touch = f"touch {tmp_path}/ran\n"
    (found,) = problems(tmp_path, {"dependencies.sh": f"{touch}if true; then\n  {touch}"})
    assert found.startswith("dependencies.sh:4: syntax error")
    assert not (tmp_path / "ran").exists()


def test_all_problems_come_at_once_in_order(tmp_path: Path) -> None:
    found = problems(tmp_path, {"requirements.txt": "a=>1\n../b\nc=>1\n", "conda-packages.txt": "- d\n"})
    assert [problem.partition(" ")[0] for problem in found] == [
        "conda-packages.txt:1:",
        "requirements.txt:1:",
        "requirements.txt:2:",
        "requirements.txt:3:",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==1.26.4 --hash=sha256:00",
        "torch==2.2.0+cu121",
        "requests[security,socks]>=2.8.1,==2.8.* ; python_version >= '3.10'",
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "--pre",
        "click # a comment",
        "git+ssh://git@github.com/org/own.git",
        "own @ git+https://example.com/own.git",
        "-e git+https://example.com/own.git#egg=own",
    ],
)
def test_what_pip_understands_is_not_refused(line: str, tmp_path: Path) -> None:
    assert set(read(tmp_path, {"requirements.txt": f"{line}\n"}).files) == {"requirements.txt"}


@pytest.mark.parametrize(
    "line", ["rdkit", "conda-forge::rdkit", "numpy=1.26", "numpy=1.26=py311h64a7726_0", "numpy>=1.26,<2", "# comment"]
)
def test_what_conda_understands_is_not_refused(line: str, tmp_path: Path) -> None:
    assert read(tmp_path, {"conda-packages.txt": f"{line}\n"}).warnings == ()


# The tag


NAMED = ("requirements.txt", "more.txt", "pip.conf")


@given(
    contents=st.fixed_dictionaries({name: st.sampled_from(["click\n", "click<9\n", "# none\n"]) for name in NAMED}),
    changed=st.sampled_from([*NAMED, "predictor.py", "sample.json", ".env"]),
)
def test_the_tag_changes_with_what_is_installed_and_nothing_else(
    contents: dict[str, str], changed: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("project")
    texts = {
        **contents,
        "requirements.txt": f"-r more.txt\n{contents['requirements.txt']}",
        "dependencies.sh": "cp pip.conf ~\n",
    }
    files: dict[str, Content] = {**texts}
    before = build_context(read(folder, files), Flavour(gpu=False)).tag
    assert build_context(read(folder, files), Flavour(gpu=False)).tag == before
    assert build_context(read(folder, files), Flavour(gpu=True)).tag != before
    after = build_context(read(folder, {**files, changed: f"{texts.get(changed, '')}# more\n"}), Flavour(gpu=False)).tag
    assert (after != before) == (changed in NAMED)


def test_comments_alone_are_no_dependencies(tmp_path: Path) -> None:
    """Such as those of the templates: their projects share the image of those without the file."""
    flavour = Flavour(gpu=False)
    tags = {
        build_context(read(tmp_path / name, files), flavour).tag
        for name, files in {
            "none": {},
            "comments": {"requirements.txt": "# Packages, such as: numpy\n\n"},
            "others": {"requirements.txt": "# None."},
        }.items()
    }
    assert len(tags) == 1
    with_option = read(tmp_path / "option", {"requirements.txt": "--index-url https://example.com/simple\n"})
    assert build_context(with_option, flavour).tag not in tags


def test_packages_are_listed_as_their_lines_have_them(tmp_path: Path) -> None:
    text = "numpy>=1.2 # for arrays\n-r more.txt\nscipy==1.0 --hash=sha256:00\n--pre\n"
    found = read(
        tmp_path, {"requirements.txt": text, "more.txt": "-e ./pkg\nonnx; python_version > '3'\n", "pkg/a.py": ""}
    )
    assert found.packages == ("numpy>=1.2", "scipy==1.0", "onnx; python_version > '3'")


def test_line_ends_of_a_checkout_do_not_matter(tmp_path: Path) -> None:
    one = read(tmp_path, {"requirements.txt": "click\n", "conda-packages.txt": "rdkit\n"})
    other = read(tmp_path, {"requirements.txt": "click\r\n", "conda-packages.txt": "rdkit\r\n"})
    assert build_context(one, Flavour(gpu=False)) == build_context(other, Flavour(gpu=False))
