"""The shape of the code: who imports whom (the rules are in ``pyproject.toml``), who asks what, and how long it is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("cortex_cdk", "cli/cortex_cli", "stacks/cortex_stacks", "serving_image/cortex_serving")
TESTS = ("tests", "serving_image/tests", "benchmarks")
SOURCES = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))]
FILES = [*SOURCES, *(path for folder in TESTS for path in sorted((ROOT / folder).rglob("*.py")))]
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def test_imports_point_one_way_and_never_in_a_circle() -> None:
    linter = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linter.returncode == 0, linter.stdout + linter.stderr
    assert " 0 broken" in linter.stdout


def test_every_package_says_what_lives_there() -> None:
    silent = [
        path.relative_to(ROOT)
        for path in SOURCES
        if path.name == "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


# Environments, the sessions that they make, the local cloud, and the command that starts it.
MAY_ASK = (
    "cortex_cdk/environment.py",
    "cortex_cdk/aws/cloud.py",
    "cortex_cdk/localcloud/",
    "cli/cortex_cli/commands/local.py",
)
NAMES_OF_THE_QUESTION = {"LOCAL", "LocalEnvironment", "is_local", "on_this_machine"}
VALUES_OF_THE_QUESTION = {"local", "localhost", "127.0.0.1"}


def test_nothing_asks_whether_the_cloud_is_the_local_one() -> None:
    """What differs there is a capability of an environment that its name explains, such as ``makes_its_cluster``."""
    asked = [
        f"{path.relative_to(ROOT)}:{line}: {question}"
        for folder in PACKAGES[:3]
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(MAY_ASK)
        for line, question in _questions(ast.parse(path.read_text()))
    ]
    assert asked == []


@pytest.mark.parametrize(
    "source",
    [
        "from cortex_cdk.environment import LOCAL",
        "if environment.on_this_machine: pass",
        "isinstance(environment, environments.LocalEnvironment)",
        "if environment.name == 'local': pass",
        "free = name in ('local', 'test')",
        "if cloud.endpoint_url is None: pass",
        "if not cloud.endpoint_url: pass",
    ],
)
def test_that_test_sees_a_question(source: str) -> None:
    assert list(_questions(ast.parse(source)))


def _questions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where a module names the local environment, or decides by its name, by an address or by an endpoint URL."""
    for node in ast.walk(tree):
        for attribute in ("attr", "id", "name"):
            if (name := getattr(node, attribute, None)) in NAMES_OF_THE_QUESTION:
                yield getattr(node, "lineno", 0), f"names {name}"
        conditions: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            conditions = [node.left, *node.comparators]
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            conditions = [node.test]
        elif isinstance(node, ast.UnaryOp):
            conditions = [node.operand]
        for part in (part for condition in conditions for part in ast.walk(condition)):
            if isinstance(part, ast.Constant) and part.value in VALUES_OF_THE_QUESTION:
                yield part.lineno, f"decides by {part.value!r}"
            if isinstance(part, ast.Attribute) and part.attr == "endpoint_url":
                yield part.lineno, "decides by an endpoint URL"


def test_files_and_functions_fit_a_reader() -> None:
    assert [offence for path in FILES for offence in _too_long(path)] == []


def _too_long(path: Path) -> Iterator[str]:
    text = path.read_text()
    lines = text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{path.relative_to(ROOT)} has {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"
