"""The workflows (of docs/ci.md, and the one that releases) and the trust policy are what GitHub, PyPI and IAM take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
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


RELEASE: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())


def test_a_tag_releases_and_nothing_else_does() -> None:
    assert RELEASE[True] == {"push": {"tags": ["v*"]}}
    assert RELEASE["permissions"] == {"contents": "read"}


def test_only_the_job_that_publishes_may_and_it_runs_nothing_of_ours() -> None:
    jobs = RELEASE["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    publish = jobs["publish"]
    assert (publish["permissions"], publish["environment"]) == ({"id-token": "write"}, "pypi")
    assert set(publish["needs"]) == jobs.keys() - {"publish"}
    assert not any("run" in step for step in publish["steps"])
    *_, upload = publish["steps"]
    assert upload["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert upload["with"] == {"attestations": True}


def test_every_action_of_the_release_is_pinned_by_its_commit() -> None:
    used = [step["uses"] for job in RELEASE["jobs"].values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) for name in used)
    # One commit for each action, and its version for people.
    text = (ROOT / ".github/workflows/release.yml").read_text()
    named = set(re.findall(r"uses: (\S+) # v\d+\.\d+\.\d+$", text, re.MULTILINE))
    assert named == set(used)
    assert len(named) == len({name.partition("@")[0] for name in named})


def test_what_is_built_is_checked_before_anything_is_built() -> None:
    runs = [step["run"] for step in RELEASE["jobs"]["build"]["steps"] if "run" in step]
    assert runs[:2] == ['python .ci/check_release.py "$GITHUB_REF_NAME"', "make dist"]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """What the check reads, as if the version that is there were to be released."""
    for name in (".ci/check_release.py", "pyproject.toml", "serving_image/pyproject.toml", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("\n## [Unreleased]", f"\n## [Unreleased]\n\n## [{version()}]"))
    return tmp_path


def version() -> str:
    (found,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return str(found)


def refused(folder: Path, tag: str) -> list[str]:
    command = [sys.executable, ".ci/check_release.py", tag]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr.splitlines()


def test_the_version_that_is_there_can_be_released_once_the_changelog_has_it(release: Path) -> None:
    assert refused(release, f"v{version()}") == []
    changes = release / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace(f"## [{version()}]", "## [0.0.1]"))
    assert refused(release, f"v{version()}") == [f"CHANGELOG.md has no section for {version()}"]


@pytest.mark.parametrize("tag", ["v9.9.9", "0.1.0", "v9", "v9.9.9-rc1", "vnext"])
def test_another_tag_is_refused(release: Path, tag: str) -> None:
    assert refused(release, tag)


@pytest.mark.parametrize("file", ["pyproject.toml", "serving_image/pyproject.toml"])
def test_both_packages_have_the_version_of_the_tag(release: Path, file: str) -> None:
    path = release / file
    path.write_text(path.read_text().replace(f'version = "{version()}"', 'version = "8.8.8"'))
    assert refused(release, f"v{version()}") == [f"{file} has version 8.8.8, not {version()}"]
