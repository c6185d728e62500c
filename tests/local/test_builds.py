"""Images of the local cloud: what CodeBuild makes, and what stands in ECR afterwards."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.localcloud import environments, images
from cortex_cdk.localcloud.tasks.launch import CannotStartError
from tests.local.data_plane_support import REGION, REPOSITORY, Cloud, cloud, until

URI = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"

PACKAGE = {
    "serving_image/pyproject.toml": '[project]\nname = "cortex-serving"\nversion = "9"\n'
    '[project.scripts]\ncortex-serve = "serve:main"\n'
    '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    '[tool.hatch.build.targets.wheel]\ninclude = ["serve.py"]\n',
    "serving_image/serve.py": "def main() -> None:\n    import toolz\n    print('served', toolz.__version__)\n",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud(tmp_path_factory.mktemp("state")) as result:
        result.client("s3").create_bucket(Bucket="main")
        result.client("codebuild").create_project(
            name="builder",
            source={"type": "S3", "location": "main/none.zip"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole="arn:aws:iam::123456789012:role/builder",
            logsConfig={"cloudWatchLogs": {"status": "ENABLED", "groupName": "/builds"}},
        )
        yield result


def build(running: Cloud, tag: str, files: dict[str, str]) -> dict[str, Any]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    running.client("s3").put_object(Bucket="main", Key=f"builds/{tag}.zip", Body=content.getvalue())
    codebuild = running.client("codebuild")
    started = codebuild.start_build(
        projectName="builder",
        sourceTypeOverride="S3",
        sourceLocationOverride=f"main/builds/{tag}.zip",
        environmentVariablesOverride=[
            {"name": "IMAGE_TAG", "value": tag},
            {"name": "IMAGE_REPOSITORY", "value": URI},
        ],
    )["build"]
    assert started["buildStatus"] == "IN_PROGRESS"

    def ended() -> dict[str, Any] | None:
        (found,) = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
        return found if found["buildComplete"] else None

    result: dict[str, Any] = until(ended, 120)
    return result


def log_of(running: Cloud, done: dict[str, Any]) -> list[str]:
    events = running.client("logs").get_log_events(
        logGroupName=done["logs"]["groupName"], logStreamName=done["logs"]["streamName"], startFromHead=True
    )
    return [event["message"] for event in events["events"]]


def test_met_requirements_build_nothing(running: Cloud) -> None:
    done = build(running, "met", {"requirements.txt": "click>=8\n"})

    assert (done["buildStatus"], done["logs"]["groupName"]) == ("SUCCEEDED", "/builds"), log_of(running, done)
    assert [phase["phaseType"] for phase in done["phases"]][-1] == "COMPLETED"
    assert "nothing to build" in log_of(running, done)[0]
    (detail,) = running.client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": "met"}])[
        "imageDetails"
    ]
    by_digest = images.resolve(f"{URI}@{detail['imageDigest']}")
    assert by_digest == images.resolve(f"{URI}:met")
    assert (by_digest.binaries / "python").exists()
    assert by_digest.command == ("cortex-serve",)
    assert not (running.settings.state / "images" / "met").exists()


def test_other_requirements_make_an_environment_once(running: Cloud) -> None:
    first = build(running, "new", {**PACKAGE, "requirements.txt": "toolz==0.12.1\n"})
    assert first["buildStatus"] == "SUCCEEDED", log_of(running, first)

    binaries = images.resolve(f"{URI}:new").binaries
    assert binaries == running.settings.state / "images" / "new" / "venv" / "bin"
    printed = subprocess.run([binaries / "cortex-serve"], capture_output=True, text=True, check=True).stdout
    assert printed == "served 0.12.1\n"

    again = build(running, "new", {**PACKAGE, "requirements.txt": "toolz==0.12.1\n"})
    assert "exists already" in log_of(running, again)[0]


def test_a_build_that_fails_says_why(running: Cloud) -> None:
    done = build(running, "bad", {**PACKAGE, "requirements.txt": "no-such-package-of-ours==1\n"})

    assert done["buildStatus"] == "FAILED"
    failed = next(phase for phase in done["phases"] if phase.get("phaseStatus") == "FAILED")
    assert failed["phaseType"] == "BUILD"
    assert "no-such-package-of-ours" in failed["contexts"][0]["message"]
    assert log_of(running, done)[-1] == failed["contexts"][0]["message"]
    with pytest.raises(CannotStartError, match="CannotPullContainerError"):
        images.resolve(f"{URI}:bad")


def test_an_environment_that_was_removed_is_said(running: Cloud, tmp_path: Path) -> None:
    images.put(REGION, REPOSITORY, "gone", tmp_path / "nowhere", ["true"])

    with pytest.raises(CannotStartError, match="was removed"):
        images.resolve(f"{URI}:gone")


def test_the_useful_line_of_an_error() -> None:
    lines = [
        "Using Python 3.11.7 environment at: venv",
        "error: No solution found when resolving dependencies",
        "  cause: Because there is no version of click==99, your requirements are unsatisfiable.",
    ]

    assert environments.first_useful_line(lines) == (
        "Because there is no version of click==99, your requirements are unsatisfiable."
    )
