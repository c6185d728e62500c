"""The image that a project's replicas run in: made once for each set of dependencies, and reused.

An image holds dependencies, never the project's code. Its tag is a hash of all that goes into it, so a tag
that the repository has needs no build. Builds run in CodeBuild, so nobody needs Docker.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_serving.image import context_files

from cortex_cdk import names
from cortex_cdk.cloud import Cloud, error_code
from cortex_cdk.deploy import assets
from cortex_cdk.deploy.patience import pauses
from cortex_cdk.errors import DeployError
from cortex_cdk.logs import read

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildTypeDef

REQUIREMENTS = "requirements.txt"
DOCKERFILES = {False: "Dockerfile", True: "Dockerfile.gpu"}
LOG_LINES_SHOWN = 8
# The oldest moment that a zip entry can have: the context's bytes must not depend on when it was made.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class BuildContext:
    """All that goes into an image.

    Attributes:
        files: Content by path inside the context.
        tag: Hash of ``files``: 32 hexadecimal digits.
    """

    files: dict[str, bytes]
    tag: str


def build_context(project_root: Path, *, gpu: bool) -> BuildContext:
    """Collect what the image of a project is built from.

    Args:
        project_root: The project's folder; its ``requirements.txt`` counts, nothing else of it.
        gpu: Whether the image carries CUDA.
    """
    files = {f"serving_image/{name}": path.read_bytes() for name, path in context_files().items()}
    files["Dockerfile"] = files[f"serving_image/{DOCKERFILES[gpu]}"]
    requirements = project_root / REQUIREMENTS
    files[REQUIREMENTS] = requirements.read_bytes() if requirements.is_file() else b""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{len(name)}:{name}:{len(content)}:".encode())
        digest.update(content)
    return BuildContext(files, digest.hexdigest()[:32])


def find_image(cloud: Cloud, repository_uri: str, repository: str, tag: str) -> str | None:
    """The reference (by digest) of the image of that tag, or None where the repository has none."""
    from botocore.exceptions import ClientError

    try:
        answer = cloud.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error_code(error) == "ImageNotFoundException":
            return None
        raise
    return f"{repository_uri}@{answer['imageDetails'][0]['imageDigest']}"


def build_image(cloud: Cloud, context: BuildContext, *, bucket: str, project: str, repository_uri: str) -> None:
    """Build an image and wait until it is in the repository.

    Args:
        project: The CodeBuild project.

    Raises:
        DeployError: The build failed; the details are the end of its log.
    """
    key = names.build_context_key(context.tag)
    with tempfile.TemporaryDirectory() as folder:
        assets.upload(cloud, _write(context, Path(folder) / "context.zip"), bucket, key)
    build = cloud.codebuild.start_build(
        projectName=project,
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{bucket}/{key}",
        environmentVariablesOverride=[
            {"name": "IMAGE_TAG", "value": context.tag, "type": "PLAINTEXT"},
            {"name": "IMAGE_REPOSITORY", "value": repository_uri, "type": "PLAINTEXT"},
        ],
    )["build"]
    for pause in pauses():
        build = cloud.codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]
        if build["buildStatus"] != "IN_PROGRESS":
            break
        time.sleep(pause)
    if build["buildStatus"] != "SUCCEEDED":
        raise DeployError(
            f"the image could not be built from {REQUIREMENTS}: {_reason(build)}",
            hint=f"correct {REQUIREMENTS} and deploy again",
            details=_last_lines(cloud, build),
        )


def _write(context: BuildContext, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(context.files.items()):
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content, zipfile.ZIP_DEFLATED)
    return path


def _reason(build: BuildTypeDef) -> str:
    """Why a build ended, in one line."""
    contexts = [context for phase in build.get("phases", []) for context in phase.get("contexts", [])]
    reasons = [text for context in contexts if (text := context.get("message", ""))]
    return reasons[-1].splitlines()[0] if reasons else build["buildStatus"].lower()


def _last_lines(cloud: Cloud, build: BuildTypeDef) -> list[str]:
    group = build.get("logs", {}).get("groupName")
    if not group:
        return []
    stream = build.get("logs", {}).get("streamName", "")
    records = [record for record in read(cloud, group) if stream.endswith(record.replica)]
    return [record.message for record in records[-LOG_LINES_SHOWN:]]
