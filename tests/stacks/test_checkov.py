"""checkov finds nothing in any template of the matrix, but what is accepted for a reason.

checkov wants old versions of boto3 and others, so that it has an environment of its own, which make keeps.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cortex_stacks.app import add_stack, make_app

from tests.conftest import ROOT
from tests.stacks.checkov_exceptions import ACCEPTED
from tests.stacks.matrix import every_spec

INSTALLED = ".venv-checkov/.installed"
OPTIONS = [
    "--framework",
    "cloudformation",
    "--skip-download",
    "--quiet",
    "--compact",
    "--output",
    "json",
    "--soft-fail",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says of the whole matrix, in one run."""
    made = subprocess.run(["make", "--silent", INSTALLED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    folder = tmp_path_factory.mktemp("cdk.out")
    app = make_app(str(folder))
    for spec in every_spec():
        add_stack(app, spec)
    with pytest.MonkeyPatch.context() as variables:
        # test_proof makes the CDK's own checks.
        variables.setenv("CDK_VALIDATION", "false")
        app.synth()
    files = sorted(str(path) for path in folder.glob("*.template.json"))
    checked = subprocess.run(
        [ROOT / ".venv-checkov/bin/checkov", *OPTIONS, "--file", *files],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    found: dict[str, Any] = json.loads(checked.stdout)
    return found


def test_everything_was_checked(report: dict[str, Any]) -> None:
    summary = report["summary"]
    assert summary["parsing_errors"] == 0
    assert summary["resource_count"] > 10 * len(every_spec())
    assert summary["passed"] > 500


def test_there_are_no_findings_but_accepted_ones(report: dict[str, Any]) -> None:
    used: Counter[Any] = Counter()
    unknown = []
    for failed in report["results"]["failed_checks"]:
        reasons = [
            finding
            for finding in ACCEPTED
            if finding.rule == failed["check_id"] and failed["resource"].startswith(finding.resource)
        ]
        used.update(reasons)
        if not reasons:
            where = Path(failed["file_path"]).name.removesuffix(".template.json")
            unknown.append(f"{failed['check_id']} {failed['check_name']}: {failed['resource']} of {where}")
    assert unknown == []
    assert set(ACCEPTED) == set(used), "a reason that nothing needs any more"
