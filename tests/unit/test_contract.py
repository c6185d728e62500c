"""What the programs agree on stands once, in ``cortex_serving.contract`` and ``cortex_cdk.names``."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cortex_serving import contract

from cortex_cdk.project.zip_entry import zip_entry
from tests.conftest import ROOT

PACKAGES = ("cortex_cdk", "cli/cortex_cli", "stacks/cortex_stacks", "serving_image/cortex_serving")
CONTRACT = ROOT / "serving_image/cortex_serving/contract.py"
NAMES = ROOT / "cortex_cdk/names.py"
SOURCES = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))]
# Values that nobody writes by chance: with a capital inside, a dash, a dot, a slash or an underscore.
NAMES_OF_AWS = ("METRICS_FIELD",)
DISTINCTIVE = re.compile(r"/?[A-Za-z]+(?:[a-z][A-Z]|[-_./])[\w./-]*|_\w+|/\w+")


def agreed() -> set[str]:
    """The distinctive texts of the contract."""
    constants = {**vars(contract), **vars(contract.Variable)}.items()
    return {
        value
        for name, value in constants
        if name.isupper() and isinstance(value, str) and DISTINCTIVE.fullmatch(value) and name not in NAMES_OF_AWS
    }


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Every text of a module, whether it stands alone or in an f-string.

    No docstrings, and nothing that Python wants to be written out: ``Literal`` types and ``__all__``.
    """
    written_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            written_out.add(id(node.value))
        elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Literal":
            written_out.update(map(id, ast.walk(node.slice)))
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            written_out.update(map(id, ast.walk(node.value)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in written_out:
            yield node


def test_the_values_are_found() -> None:
    found = agreed()
    assert {"CORTEX_SPEC", "/readyz", "X-Request-Id", "InFlight", "sample.json", "cortex-serve", "IMAGE_TAG"} <= found
    assert not found & {"Cortex", "Cluster", "Api", "project", "fatal"}


def test_what_is_agreed_on_stands_once() -> None:
    wanted = agreed()
    again = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value!r}"
        for path in SOURCES
        if path != CONTRACT
        for node in texts(ast.parse(path.read_text()))
        if node.value in wanted
    ]
    assert again == []


def test_only_one_module_builds_names_of_the_account() -> None:
    pattern = re.compile(r"/?cortex[-/:]|-(?:api|split)-")
    elsewhere = [
        f"{path.relative_to(ROOT)}:{part.lineno}: {part.value!r}"
        for path in SOURCES
        if path != NAMES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
        for part in node.values[:1]
        if isinstance(part, ast.Constant) and pattern.match(str(part.value)) and len(node.values) > 1
    ]
    # The socket of the local load balancer is a file of this machine.
    assert [place for place in elsewhere if "envoy.py" not in place] == []


def test_the_contract_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys; import cortex_serving.contract; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    )
    folder = ROOT / "serving_image"
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - sys.stdlib_module_names == {"__main__", "cortex_serving"} & set(
        done.stdout.split()
    )


@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])
def test_the_dockerfiles_keep_to_the_contract(gpu: bool) -> None:
    text = (ROOT / "serving_image" / ("Dockerfile.gpu" if gpu else "Dockerfile")).read_text()
    assert re.search(rf"^EXPOSE {contract.PORT}$", text, re.MULTILINE)
    assert re.search(rf'^CMD \["{contract.COMMAND}"\]$', text, re.MULTILINE)
    assert re.search(rf"^ENV (?:.* )?{contract.Variable.PROJECT_DIR}=", text, re.MULTILINE)
    script = (ROOT / "serving_image/install.sh").read_text()
    for name in (contract.REQUIREMENTS_FILE, contract.CONDA_FILE, contract.DEPENDENCIES_SCRIPT):
        assert f"step {name}" in script


def test_an_archive_that_may_be_deployed_is_not_too_large_for_a_replica() -> None:
    """What zip adds, with the longest usual names and content that cannot be compressed, for the largest project."""
    files, content = 500, os.urandom(2**20)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(files):
            archive.writestr(zip_entry(f"{'folder/' * 20}{number:0100}.bin", executable=False), os.urandom(10))
    for_each_file = len(packed.getvalue()) / files
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zip_entry("random", executable=False), content)
    for_each_byte = len(packed.getvalue()) / len(content)
    largest = contract.MAX_PROJECT_BYTES * for_each_byte + contract.MAX_PROJECT_FILES * for_each_file
    assert largest < contract.MAX_ARCHIVE_BYTES


def test_log_streams_are_read_as_they_are_named() -> None:
    assert contract.split_log_stream(contract.log_stream("0a1b", "task")) == ("0a1b", "task")
    assert contract.log_stream("", "host:1*") == "none/host-1-"
    assert Path(contract.log_stream("0a1b", "task")).parts == ("0a1b", "task")
