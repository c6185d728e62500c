"""What tests of builds share: a CodeBuild project, and small build contexts."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cortex_cdk.localcloud.services.ecr import images
from tests.conftest import ROOT
from tests.local.localcloud.data_plane_support import REGION, REPOSITORY, Cloud, cloud
from tests.local.waiting import until

URI = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"

PACKAGE = {
    "serving_image/pyproject.toml": '[project]\nname = "cortex-serving"\nversion = "9"\n'
    '[project.scripts]\ncortex-serve = "serve:main"\n'
    '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    '[tool.hatch.build.targets.wheel]\ninclude = ["serve.py"]\n',
    "serving_image/serve.py": "import os\ndef main() -> None:\n    import toolz\n"
    "    print('served', toolz.__version__, *(['with', os.environ['RDBASE']] if 'RDBASE' in os.environ else []))\n",
    "serving_image/requirements.txt": "click>=8\n",
    "serving_image/constraints.txt": "click==8.3.1\ncolorama==0.4.6\n",
    "serving_image/install.sh": (ROOT / "serving_image/install.sh").read_text(),
}
REQUIREMENTS = "project/requirements.txt"
OUR_STEPS = ["==> dependencies of the serving program", "==> the serving program", "==> installed"]


@contextmanager
def with_builder(state: Path) -> Iterator[Cloud]:
    """A cloud with a bucket and a project that builds."""
    with cloud(state) as result:
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


def start(running: Cloud, tag: str, files: dict[str, str], executable: str = "") -> dict[str, Any]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in {REQUIREMENTS: "", **files}.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if name == executable else 0o644) << 16
            archive.writestr(entry, text)
    running.client("s3").put_object(Bucket="main", Key=f"builds/{tag}.zip", Body=content.getvalue())
    codebuild = running.client("codebuild")
    started: dict[str, Any] = codebuild.start_build(
        projectName="builder",
        sourceTypeOverride="S3",
        sourceLocationOverride=f"main/builds/{tag}.zip",
        environmentVariablesOverride=[
            {"name": "IMAGE_TAG", "value": tag},
            {"name": "IMAGE_REPOSITORY", "value": URI},
        ],
    )["build"]
    assert started["buildStatus"] == "IN_PROGRESS"
    return started


def build(running: Cloud, tag: str, files: dict[str, str], executable: str = "") -> dict[str, Any]:
    started = start(running, tag, files, executable)

    def ended() -> dict[str, Any] | None:
        (found,) = running.client("codebuild").batch_get_builds(ids=[started["id"]])["builds"]
        return found if found["buildComplete"] else None

    result: dict[str, Any] = until(ended, 120)
    return result


def log_of(running: Cloud, done: dict[str, Any]) -> list[str]:
    events = running.client("logs").get_log_events(
        logGroupName=done["logs"]["groupName"], logStreamName=done["logs"]["streamName"], startFromHead=True
    )
    return [event["message"] for event in events["events"]]


def python_of(tag: str, code: str) -> str:
    """What the Python of an image prints."""
    python = images.resolve(f"{URI}:{tag}").binaries / "python"
    command = [str(python), "-c", code]
    # Python also imports from the folder that it is started in.
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout.strip()
