"""The log of an image build: what is shown of it, and what it says about a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.deploy.build_log import LOGS_KEPT, BuildLog, failure, keep_log

# What CodeBuild's log of `docker build` looks like (BUILDKIT_PROGRESS=plain), from documentation and not from a run.
DOCKER = """\
[Container] 2026/11/25 02:00:00.000000 Running on CodeBuild On-demand
[Container] 2026/11/25 02:00:01.000000 Entering phase BUILD
[Container] 2026/11/25 02:00:01.000000 Running command docker build --tag "$IMAGE_REPOSITORY:$IMAGE_TAG" .
WARNING! Your password will be stored unencrypted in /root/.docker/config.json.
Login Succeeded
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 1.59kB done
#1 DONE 0.0s

#5 [1/5] FROM public.ecr.aws/docker/library/python:3.11-slim-bookworm
#5 sha256:2b99b9c5d9e5 5.24MB / 29.13MB 0.2s
#5 extracting sha256:2b99b9c5d9e5 0.3s done
#5 DONE 4.5s

#9 [4/5] RUN sh serving_image/install.sh /opt/cortex /opt/cortex/environment 3.11
#9 0.342 ==> Python
#9 0.871 Using CPython 3.11.9 interpreter at: /usr/local/bin/python3.11
#9 1.020 ==> requirements.txt
#9 1.411   x No solution found when resolving dependencies:
#9 1.412 error: No solution found when resolving dependencies
#9 1.412   cause: Because nunpy was not found in the package registry, we can conclude that ...
#9 ERROR: process "/bin/sh -c sh serving_image/install.sh" did not complete successfully: exit code: 1
------
 > [4/5] RUN sh serving_image/install.sh /opt/cortex /opt/cortex/environment 3.11:
1.412 error: No solution found when resolving dependencies
------
Dockerfile:19
--------------------
  18 |     # uv and micromamba are there for this one step
  19 | >>> RUN --mount=from=ghcr.io/astral-sh/uv:0.13.9 \\
--------------------
ERROR: failed to solve: process "/bin/sh -c sh serving_image/install.sh" did not complete successfully: exit code: 1
[Container] 2026/11/25 02:00:09.000000 Command did not exit successfully docker build exit status 1
[Container] 2026/11/25 02:00:09.000000 Phase context status code: COMMAND_EXECUTION_ERROR Message: Error while executing
"""
NO_BASE = """\
#3 [internal] load metadata for public.ecr.aws/docker/library/python:3.11-slim-bookworm
#3 ERROR: failed to authorize: unexpected status from GET request to https://public.ecr.aws/token/: 429 Too Many
------
ERROR: failed to solve: public.ecr.aws/docker/library/python:3.11-slim-bookworm: failed to resolve source metadata
[Container] 2026/11/25 02:00:09.000000 Phase context status code: COMMAND_EXECUTION_ERROR Message: Error while executing
"""
PIP = """\
==> requirements.txt
Processing ./serving_image
ERROR: Could not find a version that satisfies the requirement nunpy (from versions: none)
ERROR: No matching distribution found for nunpy
"""
PIP_BUILD = """\
==> requirements.txt
Collecting own
  error: subprocess-exited-with-error
  x Building wheel for own (pyproject.toml) did not run successfully.
  error: command 'gcc' failed: No such file or directory
ERROR: Failed building wheel for own
"""
MICROMAMBA = """\
==> conda-packages.txt
conda-forge/linux-64                                        Using cache
error    libmamba Could not solve for environment specs
    The following package could not be installed
    └─ rdkitt =* * does not exist (perhaps a typo or a missing channel).
critical libmamba Could not solve for environment specs
"""
CONDA = """\
==> conda-packages.txt
Collecting package metadata (current_repodata.json): ...working... done
PackagesNotFoundError: The following packages are not available from current channels:
  - rdkitt
"""
SCRIPT = """\
==> dependencies.sh will run on this machine, as you, with /home as its HOME
==> Python
==> dependencies.sh
error: this one is tolerated
==> Fetching jq
dependencies.sh: line 3: frobnicate: command not found
dependencies.sh ended with exit status 127
"""
GAVE_UP = """\
==> .python-version
error: No interpreter found for Python 3.99 in managed installations or search path
error: there is no Python 3.99 here, and uv could not get it
hint: install it
"""

# What docker build and docker push of a real engine (28.5.2) say.
INSTALLED = """\
#12 [stage-4 6/7] RUN --mount=from=uv,source=/uv,target=/usr/local/bin/uv     sh /run/context/serving_image/install.sh
#12 0.167 ==> requirements.txt
#12 0.307 error: this one did not matter
#12 1.912 Installed 1 package in 62ms
#12 2.923 ==> installed
#12 DONE 3.2s
#14 exporting to image
#14 exporting layers
"""
NO_EXPORT = f"""\
{INSTALLED}#14 ERROR: failed to prepare extraction snapshot: no space left on device
------
 > exporting to image:
------
"""
NO_PUSH = f"""\
{INSTALLED}#14 naming to 127.0.0.1:5511/x:y done
#14 DONE 2.7s
WARNING! Your credentials are stored unencrypted in '/root/.docker/config.json'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/

The push refers to repository [127.0.0.1:5511/x]
5f70bf18a086: Preparing
f12df7879997: Preparing
no basic auth credentials
"""
PROGRAM = """\
==> requirements.txt
error: this one did not matter
==> dependencies of the serving program
error: Failed to fetch: https://pypi.org/simple/falcon/
"""


class Cloud:
    """Answers GetLogEvents as CloudWatch does: pages, and at the end the token that it was given."""

    def __init__(self, *pages: list[str]) -> None:
        self.logs = self
        self.pages = pages

    def get_log_events(self, *, nextToken: str = "0", **_query: Any) -> dict[str, Any]:
        index = int(nextToken)
        page = self.pages[index] if index < len(self.pages) else []
        return {
            "events": [{"message": message} for message in page],
            "nextForwardToken": str(min(index + 1, len(self.pages))),
        }


def log_of(*pages: list[str]) -> BuildLog:
    cloud: Any = Cloud(*pages)
    return BuildLog(cloud, "group", "stream")


def test_of_dockers_log_only_the_output_of_steps_is_shown() -> None:
    log = log_of(DOCKER.splitlines(keepends=True))
    assert log.new() == [
        "Login Succeeded",
        "==> Python",
        "Using CPython 3.11.9 interpreter at: /usr/local/bin/python3.11",
        "==> requirements.txt",
        "  x No solution found when resolving dependencies:",
    ]
    assert log.settle() == []
    assert log.lines[-1] == "  cause: Because nunpy was not found in the package registry, we can conclude that ..."


def test_the_error_that_ends_a_build_is_told_once_at_its_end() -> None:
    log = log_of(["==> requirements.txt", "Resolved 3 packages", "error: No solution"], ["  cause: of many lines"])
    assert (log.new(), log.new()) == (["==> requirements.txt", "Resolved 3 packages"], [])
    assert log.lines[2:] == ["error: No solution", "  cause: of many lines"]


def test_a_script_may_go_on_after_an_error() -> None:
    lines = ["==> dependencies.sh", "error: this one is tolerated", "done"]
    assert log_of(lines).new() == lines


def test_logs_of_failed_builds_are_kept_the_newest_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path))
    kept = [keep_log(["first", "second"], f"{number}") for number in range(LOGS_KEPT + 2)]
    assert kept[-1]
    assert kept[-1].read_text() == "first\nsecond\n"
    assert len(list(kept[-1].parent.iterdir())) == LOGS_KEPT


def test_where_no_log_can_be_kept_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "build-logs").write_text("in the way")
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path))
    assert keep_log([], "tag") is None


def test_each_line_is_read_once() -> None:
    log = log_of(["a", "b"], [], ["c"])
    assert (log.new(), log.new()) == (["a", "b", "c"], [])
    assert log.lines == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "file", "reason"),
    [
        (DOCKER, "requirements.txt", "No solution found when resolving dependencies: Because nunpy was not found"),
        (
            NO_BASE,
            None,
            "failed to authorize: unexpected status from GET request to https://public.ecr.aws",
        ),
        (
            PIP,
            "requirements.txt",
            "Could not find a version that satisfies the requirement nunpy (from versions: none)",
        ),
        (PIP_BUILD, "requirements.txt", "command 'gcc' failed: No such file or directory"),
        (MICROMAMBA, "conda-packages.txt", "rdkitt =* * does not exist (perhaps a typo or a missing channel)"),
        (CONDA, "conda-packages.txt", "PackagesNotFoundError: The following packages are not available from"),
        (SCRIPT, "dependencies.sh", "line 3: frobnicate: command not found"),
        (SCRIPT.replace("dependencies.sh: line 3", "sh: line 3"), "dependencies.sh", "sh: line 3: frobnicate"),
        (
            "==> dependencies.sh\ndependencies.sh ended with exit status 3",
            "dependencies.sh",
            "dependencies.sh ended with",
        ),
        (
            "==> dependencies.sh\nhi\ndependencies.sh ended with exit status 1",
            "dependencies.sh",
            "it ended with exit status 1, after it had said: hi",
        ),
        (GAVE_UP, ".python-version", "there is no Python 3.99 here, and uv could not get it"),
        ("==> Python\nsomething else\n", None, "something else"),
        (NO_EXPORT, None, "failed to prepare extraction snapshot: no space left on device"),
        (NO_PUSH, None, "no basic auth credentials"),
        (PROGRAM, None, "Failed to fetch: https://pypi.org/simple/falcon/"),
    ],
)
def test_the_useful_line(text: str, file: str | None, reason: str) -> None:
    log = log_of(text.splitlines())
    log.new()
    found = failure(log.lines)
    assert found.file == file
    assert found.reason
    assert found.reason.startswith(reason)


def test_details_do_not_repeat_the_reason() -> None:
    assert failure(SCRIPT.splitlines()).details[:2] == ("error: this one is tolerated", "==> Fetching jq")
    found = failure(GAVE_UP.splitlines())
    assert found.details == ("error: No interpreter found for Python 3.99 in managed installations or search path",)
    assert found.hint == "install it"


@pytest.mark.parametrize(("text", "installed"), [(NO_EXPORT, True), (NO_PUSH, True), (PROGRAM, False), (DOCKER, False)])
def test_what_fails_after_the_installing_is_told_apart(text: str, installed: bool) -> None:
    log = log_of(text.splitlines())
    log.new()
    assert failure(log.lines).installed == installed


def test_nothing_is_said_by_nothing() -> None:
    assert failure([]).reason is None
