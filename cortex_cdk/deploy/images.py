"""The images that a project's replicas run in: each is made once for each set of dependencies, and reused.

An image holds dependencies, never the project's code. Its tag is a hash of everything that goes into it
(``image_tag``), so that a tag that the repository has needs no build. Builds run in CodeBuild: nobody needs Docker. A
build only adds an image to the repository: nothing that runs sees it.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_serving.contract import (
    CONTEXT_PROJECT,
    CONTEXT_PYTHON_VERSION,
    CONTEXT_SERVING,
    IMAGE_REPOSITORY_VARIABLE,
    IMAGE_TAG_VARIABLE,
)
from cortex_serving.image_context import context_files

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.aws.polling import pauses
from cortex_cdk.config import RealtimeApi
from cortex_cdk.deploy import assets
from cortex_cdk.deploy.build_log import BuildLog, failure
from cortex_cdk.errors import DeployError
from cortex_cdk.project.dependencies import Dependencies, DependencyFile
from cortex_cdk.project.zip_entry import zip_entry
from cortex_cdk.synthesis.specs import ClusterResources

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildTypeDef

DOCKERFILES = {False: "Dockerfile", True: "Dockerfile.gpu"}
IN_PROGRESS = "IN_PROGRESS"
BUILDS_LOOKED_AT = 20
LOG_LINES_SHOWN = 10


@dataclass(frozen=True)
class BuildContext:
    """All that goes into an image.

    Attributes:
        files: Content by path inside the context.
        tag: Hash of ``files``: 32 hexadecimal digits.
    """

    files: Mapping[str, DependencyFile]
    tag: str


@dataclass(frozen=True)
class Builder:
    """Where images are built and kept.

    Attributes:
        bucket: Takes the build contexts.
        project: The CodeBuild project.
        repository: Name of the ECR repository.
        repository_uri: Its address.
    """

    bucket: str
    project: str
    repository: str
    repository_uri: str

    @classmethod
    def of(cls, cluster: ClusterResources) -> Builder:
        """Return a cluster's builder."""
        return cls(cluster.bucket, cluster.image_builder, cluster.repository, cluster.repository_uri)


def contexts(apis: Iterable[RealtimeApi], dependencies: Dependencies) -> dict[bool, BuildContext]:
    """Collect what the images of APIs are built from.

    Args:
        apis: APIs of one project. Those with a ``predictor.image`` need none of these images.
        dependencies: What the project installs.

    Returns:
        The context of each image that is needed, by whether it carries CUDA.
    """
    needed = {api.compute.gpu > 0 for api in apis if api.predictor.image is None}
    return {gpu: build_context(dependencies, gpu=gpu) for gpu in sorted(needed)}


def find(cloud: Cloud, builder: Builder, wanted: Mapping[bool, BuildContext]) -> dict[bool, str | None]:
    """Look up which images the repository has.

    Returns:
        The reference of each image that is wanted; None where it has to be built.
    """
    return {gpu: find_image(cloud, builder, context.tag) for gpu, context in wanted.items()}


def of_apis(
    apis: Iterable[RealtimeApi], own: Mapping[str, str | None], references: Mapping[bool, str | None]
) -> dict[str, str | None]:
    """Name the image of each API: its own one, or that of the project.

    Args:
        apis: The APIs of one project.
        own: The references of their own images, by API; None for one that does not exist.
        references: The project's images, by whether they carry CUDA; None for one that has to be built.

    Returns:
        References by API; None where there is no image yet.
    """
    return {api.name: own[api.name] if api.name in own else references[api.compute.gpu > 0] for api in apis}


def build_context(dependencies: Dependencies, *, gpu: bool) -> BuildContext:
    """Collect what the image of a project is built from.

    Args:
        dependencies: What the project installs.
        gpu: Whether the image carries CUDA.
    """
    paths = {f"{CONTEXT_SERVING}/{name}": path for name, path in context_files().items()}
    files = {name: DependencyFile(path.read_bytes(), executable=False) for name, path in paths.items()}
    files["Dockerfile"] = files[f"{CONTEXT_SERVING}/{DOCKERFILES[gpu]}"]
    files |= {f"{CONTEXT_PROJECT}/{name}": file for name, file in dependencies.files.items()}
    if dependencies.python:
        files[CONTEXT_PYTHON_VERSION] = DependencyFile(f"{dependencies.python}\n".encode(), executable=False)
    return BuildContext(files, image_tag(files))


def image_tag(files: Mapping[str, DependencyFile]) -> str:
    """Make the tag of an image from everything that goes into it.

    Args:
        files: The build context, by path.

    Returns:
        32 hexadecimal digits of a SHA-256 of paths, permissions and contents. Lengths are part of it, so that no two
        contexts are written alike.
    """
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{len(name)}:{name}:{file.executable}:{len(file.content)}:".encode())
        digest.update(file.content)
    return digest.hexdigest()[:32]


def find_image(cloud: Cloud, builder: Builder, tag: str) -> str | None:
    """Look up an image by its tag.

    Returns:
        The reference (by digest), or None where the repository has none of that tag.
    """
    from botocore.exceptions import ClientError

    try:
        answer = cloud.ecr.describe_images(repositoryName=builder.repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error_code(error) == "ImageNotFoundException":
            return None
        raise
    return f"{builder.repository_uri}@{answer['imageDetails'][0]['imageDigest']}"


def build(cloud: Cloud, builder: Builder, context: BuildContext, say: Callable[[str], None]) -> str:
    """Build an image, or wait for a build of it that somebody else has started.

    Args:
        cloud: A session of the environment.
        builder: Where to build.
        context: What to build from.
        say: Takes the lines of the build's log as they come.

    Returns:
        The reference of the image.

    Raises:
        DeployError: The build failed; the message has the first useful line of its log.
    """
    build = _running_build(cloud, builder.project, context.tag) or _start(cloud, builder, context)
    log: BuildLog | None = None
    for pause in pauses():
        build = cloud.codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]
        log = log or _log(cloud, build)
        for line in log.new() if log else ():
            say(line)
        if build["buildStatus"] != IN_PROGRESS:
            break
        time.sleep(pause)
    # Whatever became of this build: where two ran at once, the second could not push what the first had pushed.
    image = find_image(cloud, builder, context.tag)
    if image:
        return image
    for line in log.settle() if log else ():
        say(line)
    raise _failed(build, log.lines if log else [])


def _start(cloud: Cloud, builder: Builder, context: BuildContext) -> BuildTypeDef:
    key = names.build_context_key(context.tag)
    with tempfile.TemporaryDirectory() as folder:
        assets.upload(cloud, _write(context, Path(folder) / "context.zip"), builder.bucket, key)
    return cloud.codebuild.start_build(
        projectName=builder.project,
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{builder.bucket}/{key}",
        environmentVariablesOverride=[
            {"name": IMAGE_TAG_VARIABLE, "value": context.tag, "type": "PLAINTEXT"},
            {"name": IMAGE_REPOSITORY_VARIABLE, "value": builder.repository_uri, "type": "PLAINTEXT"},
        ],
    )["build"]


def _running_build(cloud: Cloud, project: str, tag: str) -> BuildTypeDef | None:
    ids = cloud.codebuild.list_builds_for_project(projectName=project, sortOrder="DESCENDING")["ids"]
    if not ids:
        return None
    for build in cloud.codebuild.batch_get_builds(ids=ids[:BUILDS_LOOKED_AT])["builds"]:
        variables = build.get("environment", {}).get("environmentVariables", [])
        if (
            build["buildStatus"] == IN_PROGRESS
            and {IMAGE_TAG_VARIABLE: tag}.items() <= {v["name"]: v["value"] for v in variables}.items()
        ):
            return build
    return None


def _write(context: BuildContext, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in sorted(context.files.items()):
            archive.writestr(zip_entry(name, executable=file.executable), file.content)
    return path


def _log(cloud: Cloud, build: BuildTypeDef) -> BuildLog | None:
    """The log of a build, once it has one."""
    where = build.get("logs", {})
    group, stream = where.get("groupName"), where.get("streamName")
    return BuildLog(cloud, group, stream) if group and stream else None


def _failed(build: BuildTypeDef, lines: list[str]) -> DeployError:
    found = failure(lines)
    of = f" from {found.file}" if found.file else ""
    where = build.get("logs", {})
    whole = f"the whole log is in CloudWatch: {where.get('groupName', '')}, stream {where.get('streamName', '')}"
    return DeployError(
        f"the image could not be built{of}: {found.reason or _status(build)}",
        hint=found.hint or (f"correct {found.file} and deploy again" if found.file else whole),
        details=found.details[-LOG_LINES_SHOWN:],
    )


def _status(build: BuildTypeDef) -> str:
    """Why a build ended, as CodeBuild says."""
    contexts = [context for phase in build.get("phases", []) for context in phase.get("contexts", [])]
    reasons = [text for context in contexts if (text := context.get("message", ""))]
    return reasons[-1].splitlines()[0] if reasons else build["buildStatus"].lower().replace("_", " ")
