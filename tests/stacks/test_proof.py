"""Every template of the matrix passes the checkers and keeps what all templates promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks

from stacks.app import add_stack, make_app
from tests.stacks.matrix import every_spec

# Quota of CloudFormation for a template in the request itself.
INLINE_LIMIT_BYTES = 51_200
NAMES = [spec.stack_name for spec in every_spec()]


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole matrix, checked by the CDK's own rules (as errors) and by cdk-nag: findings make the synthesis fail."""
    folder = tmp_path_factory.mktemp("cdk.out")
    app = make_app(str(folder))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    for spec in every_spec():
        add_stack(app, spec)
    app.synth()
    return folder


@pytest.fixture(scope="module")
def templates(assembly: Path) -> dict[str, dict[str, Any]]:
    return {name: json.loads((assembly / f"{name}.template.json").read_text()) for name in NAMES}


def test_the_cdk_and_nag_find_nothing(assembly: Path) -> None:
    report = json.loads((assembly / "validation-report.json").read_text())
    print(json.dumps(report)[:3000])
