"""The shape of the code: who imports whom (rules in ``pyproject.toml``), how long files and functions are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
