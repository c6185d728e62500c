"""The workflow and the trust policy of docs/ci.md are what GitHub and IAM take."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text()
# YAML 1.1 reads the key "on" as a yes.
WORKFLOW: dict[Any, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)\n```\n", PAGE, re.DOTALL)[0])
TRUST: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = WORKFLOW["jobs"][job]["steps"]
    return found


def test_it_plans_on_pull_requests_and_deploys_what_is_merged() -> None:
    assert set(WORKFLOW[True]) == {"pull_request", "push"}
    assert WORKFLOW[True]["push"]["branches"] == ["main"]
    assert WORKFLOW["permissions"] == {"id-token": "write", "contents": "read"}
    assert WORKFLOW["jobs"]["plan"]["if"] == "github.event_name == 'pull_request'"
    assert WORKFLOW["jobs"]["deploy"]["if"] == "github.event_name == 'push'"
    assert any("cortex deploy --plan" in step.get("run", "") for step in steps("plan"))
    assert not any("--plan" in step.get("run", "") for step in steps("deploy"))
    assert any(step.get("run") == "cortex deploy --env ci --yes" for step in steps("deploy"))


@pytest.mark.parametrize("job", ["plan", "deploy"])
def test_each_job_takes_a_role_by_oidc_and_every_action_has_a_version(job: str) -> None:
    used = [step["uses"] for step in steps(job) if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+)*|[0-9a-f]{40})", name) for name in used)
    (credentials,) = [step for step in steps(job) if "configure-aws-credentials" in step.get("uses", "")]
    assert credentials["with"]["role-to-assume"].endswith(f":role/cortex-{job}")
    assert not {"aws-access-key-id", "aws-secret-access-key"} & credentials["with"].keys()


@pytest.mark.parametrize(("code", "ends_with"), [(0, 0), (2, 0), (1, 1), (130, 130)])
def test_the_plan_step_takes_changes_for_no_error(tmp_path: Path, code: int, ends_with: int) -> None:
    """As GitHub runs it: bash -e."""
    (script,) = [step["run"] for step in steps("plan") if "cortex deploy --plan" in step.get("run", "")]
    cortex = tmp_path / "cortex"
    cortex.write_text(f"#!/bin/sh\necho the plan\nexit {code}\n")
    cortex.chmod(0o755)
    summary = tmp_path / "summary"
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "GITHUB_STEP_SUMMARY": str(summary)}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environ, check=False)
    assert done.returncode == ends_with
    assert summary.read_text() == "```\nthe plan\n```\n"


def test_only_the_own_repository_may_take_the_role() -> None:
    (statement,) = TRUST["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    conditions = statement["Condition"]["StringEquals"]
    issuer = "token.actions.githubusercontent.com"
    assert conditions[f"{issuer}:aud"] == "sts.amazonaws.com"
    assert re.fullmatch(r"repo:[\w-]+/[\w-]+:pull_request", conditions[f"{issuer}:sub"])
