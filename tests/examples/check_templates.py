"""The templates that fetch hundreds of megabytes deploy at once in a local cloud (``make test-templates``)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CORTEX, Cortex

FETCHING_SECONDS = 1500


@pytest.mark.timeout(FETCHING_SECONDS + 120)
@pytest.mark.parametrize("template", ["tensorflow", "pytorch"])
def test_a_template_deploys_at_once_and_knows_its_digit(cortex: Cortex, template: str, tmp_path: Path) -> None:
    cortex.ok("init", template, "digits", cwd=tmp_path)
    # Without a limit of a few minutes: everything is fetched.
    subprocess.run([CORTEX, "deploy", "digits"], cwd=tmp_path, env=cortex.environ, check=True, timeout=FETCHING_SECONDS)
    assert json.loads(cortex.ok("predict", "digits", "digits/sample.json", cwd=tmp_path))["digit"] == 4
    cortex.ok("delete", "digits", "--yes")
