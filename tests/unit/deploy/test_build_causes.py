"""Why packages could not be installed, in our words. The logs are those of uv 0.13.9, shortened."""

from __future__ import annotations

import pytest

from cortex_cdk.deploy.build_log import failure

START = "==> Python\nUsing CPython 3.11.7 interpreter at: python3\n==> requirements.txt\n"
COMPILED = """\
   Building scikit-learn==0.21.3
error: Failed to build `scikit-learn==0.21.3`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)
         ModuleNotFoundError: No module named 'pkg_resources'
hint: This error likely indicates that `scikit-learn@0.21.3` depends on `pkg_resources`. Otherwise, add it under:
[tool.uv.extra-build-dependencies]
scikit-learn = ["pkg_resources"]
or `uv pip install pkg_resources` into the environment and re-run with `--no-build-isolation`.
"""
WANTED = """\
   Building tokenizers==0.8.1rc1
error: Failed to build `tokenizers==0.8.1rc1`
  cause: The build backend returned an error
         error: can't find Rust compiler
hint: `tokenizers` (v0.8.1rc1) was included because `transformers` (v3.0.2) depends on `tokenizers`
hint: Build failures usually indicate a problem with the package or the build environment
"""
NO_WHEEL = """\
error: No solution found when resolving dependencies
  cause: Because tensorflow==2.3.0 has no wheels with a matching Python ABI tag (e.g., `cp311`)\
 and you require tensorflow==2.3.0, we can conclude that your requirements are unsatisfiable.
hint: You require CPython 3.11 \
(`cp311`), but we only found wheels for `tensorflow` (v2.3.0) with the following Python ABI tags: `cp35m`, `cp36m`, \
`cp37m`, `cp38`
"""
WANTED_NO_WHEEL = """\
error: No solution found when resolving dependencies
  cause: Because own==1.0 depends on torch==2.3.0 and torch==2.3.0 has no wheels with a matching Python ABI \
tag (e.g., `cp311`), we can conclude that own==1.0 cannot be used.
hint: You require CPython 3.11 \
(`cp311`), but we only found wheels for `torch` (v2.3.0) with the following Python ABI tag: `cp310`
"""
EDITABLE = """\
error: Unsupported editable requirement in `requirements.txt` at line 1: `git+https://github.com/x/y.git#egg=y`
  cause: Git sources cannot be editable
hint: Editable requirements must refer to a local directory
"""
CONFUSED = """\
error: Failed to build `sklearn==0.0.post12`
  cause: The build backend returned an error
hint: `sklearn` is often confused for `scikit-learn`. Did you mean to install `scikit-learn` instead?
hint: Build failures usually indicate a problem with the package or the build environment
"""
COMPILER = """\
error: Failed to build `own-c==1.0`
  cause: The build backend returned an error
         error: command 'gcc' failed: No such file or directory
"""
OTHER_INDEX = """\
error: No solution found when resolving dependencies
  cause: Because only toolz==0.1 \
is available and you require toolz>=1, we can conclude that your requirements are unsatisfiable.
hint: `toolz` was found on https://own.example/simple, but not at the requested \
version (toolz>=1). If all indexes are equally trusted, use `--index-strategy unsafe-best-match`.
"""
OFFLINE = """\
error: Request failed after 3 retries in 7.8s
  cause: Failed to fetch: https://pypi.org/simple/toolz/
  cause: client error (Connect)
  cause: dns error
"""
ALL_TOO_OLD = """\
error: No solution found when resolving dependencies
  cause: Because tensorflow<=2.9.3 has no wheels with a matching Python ABI tag (e.g., `cp311`) and only the following \
versions of tensorflow are available:
             tensorflow<=2.9.3
             tensorflow>=2.10
         we can conclude that tensorflow<2.10 cannot be used.
         And because you require tensorflow<2.10, we can conclude that your requirements are unsatisfiable.
hint: You require CPython 3.11 (`cp311`), but we only found wheels for `tensorflow` (v2.9.3) with the following Python \
ABI tags: `cp37m`, `cp38`, `cp39`, `cp310`
"""
NO_VERSION = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==99 and you require numpy==99, we can conclude that your requirements \
are unsatisfiable.
"""
WANTED_OTHERWISE = """\
error: No solution found when resolving dependencies
  cause: Because pandas==2.2.0 depends on numpy>=1.23.2,<2 and you require pandas==2.2, we can conclude that you \
require numpy>=1.23.2,<2.
         And because you require numpy<1.20, we can conclude that your requirements are unsatisfiable.
"""
# Of 1926 lines, the last.
LONG_PROOF = """\
error: No solution found when resolving dependencies
  cause: Because boto3==1.33.11 depends on botocore>=1.33.11,<1.34.0, we can conclude that boto3>=1.20.1,<=1.33.11 \
depends on one of:
             botocore>=1.23.1,<1.24.0
             botocore>=1.24.0,<1.25.0
             botocore>=1.25.0,<1.26.0
             botocore>=1.33.0,<1.34.0
         And because boto3==1.33.12 depends on botocore>=1.33.12,<1.34.0, we can conclude that boto3>=1.20.1 depends on:
             botocore>=1.33.0,<1.34.0
         And because you require boto3>1.20,<1.34 and botocore>=1.34, we can conclude that your requirements are \
unsatisfiable.
"""
LOOSEN = "loosen the version, or name an older Python in .python-version"
KNOWN = [
    (COMPILED, "scikit-learn 0.21.3 has no wheel for Python 3.11 and compiling it failed", LOOSEN),
    (
        WANTED,
        "tokenizers 0.8.1rc1, wanted by transformers 3.0.2, has no wheel for Python 3.11 and compiling it failed: "
        "there is no Rust compiler",
        LOOSEN,
    ),
    (
        NO_WHEEL,
        "tensorflow 2.3.0 has no wheel for Python 3.11 (it has wheels for Python 3.5 to 3.8)",
        "loosen the version: replicas need Python 3.10 or newer",
    ),
    (
        WANTED_NO_WHEEL,
        "torch 2.3.0, wanted by own 1.0, has no wheel for Python 3.11 (it has wheels for Python 3.10)",
        LOOSEN,
    ),
    (
        EDITABLE,
        "git+https://github.com/x/y.git#egg=y cannot be installed with -e, only a folder of the project can",
        "remove -e",
    ),
    (ALL_TOO_OLD, "tensorflow<=2.9.3 has no wheel for Python 3.11 (it has wheels for Python 3.7 to 3.10)", LOOSEN),
    (
        NO_VERSION,
        "the requirements cannot be met: there is no version of numpy==99 and you require numpy==99",
        None,
    ),
    (
        WANTED_OTHERWISE,
        "the requirements cannot be met: pandas==2.2.0 depends on numpy>=1.23.2,<2 and you require pandas==2.2, "
        "and you require numpy<1.20",
        None,
    ),
    (LONG_PROOF, "the requirements cannot be met: you require boto3>1.20,<1.34 and botocore>=1.34", None),
    (CONFUSED, "sklearn cannot be installed", "name scikit-learn instead of sklearn"),
]


@pytest.mark.parametrize(("log", "reason", "hint"), KNOWN)
def test_known_causes(log: str, reason: str, hint: str | None) -> None:
    found = failure((START + log).splitlines())
    assert (found.file, found.reason, found.hint) == ("requirements.txt", reason, hint)


@pytest.mark.parametrize("log", [COMPILED, WANTED, NO_WHEEL, EDITABLE, CONFUSED, COMPILER, OTHER_INDEX, OFFLINE])
def test_hints_of_other_tools_are_not_shown(log: str) -> None:
    found = failure((START + log).splitlines())
    shown = "\n".join([found.hint or "", *found.details])
    assert not [words for words in ("tool.uv", "`uv ", "--no-build", "hint:", "`--index", "usually") if words in shown]


def test_what_the_serving_program_requires_is_told_apart() -> None:
    log = NO_VERSION.replace(
        "there is no version of numpy==99 and you require numpy==99", "you require falcon<4 and falcon>=4.4,<5"
    )
    assert failure((START + log).splitlines()).reason == (
        "the requirements cannot be met: you require falcon<4 and falcon>=4.4,<5 "
        "(falcon>=4.4,<5 is for the serving program)"
    )


@pytest.mark.parametrize("log", [NO_VERSION, WANTED_OTHERWISE])
def test_what_the_reason_says_is_not_said_again(log: str) -> None:
    assert failure((START + log).splitlines()).details == ()


def test_lists_of_versions_are_shortened() -> None:
    details = failure((START + LONG_PROOF).splitlines()).details
    assert details[1:4] == (
        "             botocore>=1.23.1,<1.24.0",
        "             ... (2 more)",
        "             botocore>=1.33.0,<1.34.0",
    )


def test_what_is_missing_for_compiling_is_named() -> None:
    found = failure((START + COMPILER).splitlines())
    assert found.reason == "own-c 1.0 has no wheel for Python 3.11 and compiling it failed: there is no compiler"
    assert "apt-get install -y build-essential" in (found.hint or "")


def test_on_the_oldest_python_no_older_one_is_proposed() -> None:
    found = failure((START.replace("3.11.7", "3.10.4") + COMPILED).splitlines())
    assert found.hint == "loosen the version"


def test_an_index_that_comes_first() -> None:
    found = failure((START + OTHER_INDEX).splitlines())
    assert (found.reason or "").startswith(
        "toolz is taken from https://own.example/simple, the first index that has it"
    )
    assert 'index-strategy = "unsafe-best-match"' in (found.hint or "")


@pytest.mark.parametrize("step", ["requirements.txt", "dependencies of the serving program", "Python"])
def test_a_machine_without_a_network(step: str) -> None:
    found = failure([f"==> {step}", *OFFLINE.splitlines()])
    assert (found.reason or "").startswith("https://pypi.org cannot be reached")
    assert found.hint


def test_the_index_of_pytorch_cannot_be_reached() -> None:
    log = OFFLINE.replace("https://pypi.org/simple/toolz/", "https://download.pytorch.org/whl/cpu/torch/")
    found = failure((START + log).splitlines())
    assert (found.reason or "").startswith("https://download.pytorch.org, which has the wheels of PyTorch")
    assert "--index-url https://pypi.org/simple" in (found.hint or "")


@pytest.mark.parametrize(
    "line",
    [
        "  cause: failed to copy file from /a/x.py to /b/x.py: No space left on device (os error 28)",
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_a_full_disk_is_the_cause_whatever_the_script_says(line: str) -> None:
    log = f"{START}error: Failed to install\n{line}\nerror: there is no Python 3.11 here\nhint: install it"
    found = failure(log.splitlines())
    assert found.reason == "no space is left on the disk for the dependencies"
    assert (found.hint or "").startswith("make room")
