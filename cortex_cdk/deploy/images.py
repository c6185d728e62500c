"""The images that a project's replicas run in: each is made once for each set of dependencies, and reused.

An image holds dependencies, never the project's code. Its tag is a hash of everything that goes into it
(``image_tag``), so that a tag that the repository has needs no build. Builds run in CodeBuild: nobody needs Docker. A
build only adds an image to the repository: nothing that runs sees it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_serving.contract import (
    CONTEXT_PROJECT,
    CONTEXT_PYTHON_VERSION,
    CONTEXT_RUNTIMES,
    CONTEXT_SERVING,
    IMAGE_OPTIONS_VARIABLE,
    IMAGE_REPOSITORY_VARIABLE,
    IMAGE_TAG_VARIABLE,
)
from cortex_serving.image_context import context_files, program_requirements
from cortex_serving.predictors.predictor_type import Runtime

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.polling import pauses
from cortex_cdk.config import RealtimeApi
from cortex_cdk.deploy import assets
from cortex_cdk.deploy.build_log import BuildLog, failure, keep_log
from cortex_cdk.errors import DeployError
from cortex_cdk.project import conda_packages
from cortex_cdk.project.dependencies import Dependencies, DependencyFile
from cortex_cdk.project.zip_entry import zip_entry
from cortex_cdk.synthesis.specs import ClusterResources

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildTypeDef

DOCKERFILES = {False: "Dockerfile", True: "Dockerfile.gpu"}
PROGRAM_REQUIREMENTS = f"{CONTEXT_SERVING}/requirements.txt"
MICROMAMBA, GIT = "micromamba", "git"
IN_PROGRESS = "IN_PROGRESS"
FROM_THE_GROUND_UP = ("--no-cache", "--pull")
BUILDS_LOOKED_AT = 20
# Between the tag and when it was rebuilt. Tags never move, so what was rebuilt has another.
_REBUILT = "-"
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


@dataclass(frozen=True)
class Flavour:
    """What makes images of one project differ.

    Attributes:
        gpu: Whether what is installed is made for CUDA.
        base_image: What the image is built on; None takes the Dockerfile's.
        runtimes: What the types of the predictors need.
    """

    gpu: bool
    base_image: str | None = None
    runtimes: tuple[Runtime, ...] = ()

    @classmethod
    def of(cls, api: RealtimeApi) -> Flavour:
        """Return what an API needs."""
        return cls(api.compute.gpu > 0, api.predictor.base_image, api.predictor.runtimes)


def contexts(apis: Iterable[RealtimeApi], dependencies: Dependencies) -> dict[Flavour, BuildContext]:
    """Collect what the images of APIs are built from.

    Args:
        apis: APIs of one project. Those with a ``predictor.image`` need none of these images.
        dependencies: What the project installs.

    Returns:
        The context of each image that is needed.
    """
    needed = dict.fromkeys(Flavour.of(api) for api in apis if api.predictor.image is None)
    return {flavour: build_context(dependencies, flavour) for flavour in needed}


def find(cloud: Cloud, builder: Builder, wanted: Mapping[Flavour, BuildContext]) -> dict[Flavour, str | None]:
    """Look up which images the repository has.

    Returns:
        The reference of each image that is wanted; None where it has to be built.
    """
    return {flavour: find_image(cloud, builder, context.tag) for flavour, context in wanted.items()}


def of_apis(
    apis: Iterable[RealtimeApi], own: Mapping[str, str | None], references: Mapping[Flavour, str | None]
) -> dict[str, str | None]:
    """Name the image of each API: its own one, or that of the project.

    Args:
        apis: The APIs of one project.
        own: The references of their own images, by API; None for one that does not exist.
        references: The project's images; None for one that has to be built.

    Returns:
        References by API; None where there is no image yet.
    """
    return {api.name: own[api.name] if api.name in own else references[Flavour.of(api)] for api in apis}


def build_context(dependencies: Dependencies, flavour: Flavour) -> BuildContext:
    """Collect what the image of a project is built from.

    Args:
        dependencies: What the project installs.
        flavour: Which of the project's images.
    """
    paths = {f"{CONTEXT_SERVING}/{name}": path for name, path in context_files().items()}
    files = {name: _text(path.read_bytes()) for name, path in paths.items()}
    files[PROGRAM_REQUIREMENTS] = _text("".join(f"{line}\n" for line in program_requirements()).encode())
    dockerfile = files[f"{CONTEXT_SERVING}/{DOCKERFILES[flavour.gpu]}"].content.decode()
    runtimes = [(each.module, line) for each in flavour.runtimes for line in each.lines(gpu=flavour.gpu)]
    files[CONTEXT_RUNTIMES] = _text("".join(f"{module} {line}\n" for module, line in runtimes).encode())
    files["Dockerfile"] = _text(_with_arguments(dockerfile, _arguments(dependencies, flavour.base_image)).encode())
    files |= {f"{CONTEXT_PROJECT}/{name}": file for name, file in dependencies.files.items()}
    if dependencies.python:
        files[CONTEXT_PYTHON_VERSION] = _text(f"{dependencies.python}\n".encode())
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


def _text(content: bytes) -> DependencyFile:
    return DependencyFile(content, executable=False)


def _arguments(dependencies: Dependencies, base_image: str | None) -> dict[str, str]:
    """What the Dockerfile is told about a project: a layer that saw the files would change whenever they do."""
    texts = [file.content for name, file in dependencies.files.items() if name.endswith(".txt")]
    return {
        **({"BASE_IMAGE": base_image} if base_image else {}),
        **({"CONDA": MICROMAMBA} if conda_packages.FILE in dependencies.files else {}),
        **({"SYSTEM_PACKAGES": GIT} if any(b"git+" in text for text in texts) else {}),
    }


def _with_arguments(dockerfile: str, arguments: Mapping[str, str]) -> str:
    """The Dockerfile with other defaults of arguments: whoever builds it needs to know nothing more."""
    for name, value in arguments.items():
        dockerfile, count = re.subn(rf"^ARG {name}=.*$", f"ARG {name}={value}", dockerfile, flags=re.MULTILINE)
        if count != 1:
            raise LookupError(f"the Dockerfile has {count} lines ARG {name}=")
    return dockerfile


def find_image(cloud: Cloud, builder: Builder, tag: str) -> str | None:
    """Look up an image by its tag.

    Returns:
        The reference (by digest) of the image, of the newest one where it was rebuilt; None where there is none.
    """
    found = _tagged(cloud, builder, tag)
    # "<tag>" comes before "<tag>-<when>", and those in the order of time.
    return f"{builder.repository_uri}@{found[max(found)]}" if found else None


def likely_to_share_layers(cloud: Cloud, builder: Builder, deployed: Iterable[str]) -> list[str]:
    """Choose images whose layers a new image is likely to have, too.

    Args:
        cloud: A session of the environment.
        builder: Whose repository.
        deployed: References of the images that run.

    Returns:
        The references of those from the repository, and of the newest image there.
    """
    own = {image for image in deployed if image.startswith(f"{builder.repository_uri}@")}
    newest = newest_image(cloud, builder)
    return sorted(own | {newest} if newest else own)


def newest_image(cloud: Cloud, builder: Builder) -> str | None:
    """The reference (by digest) of the image that was stored last, or None where there is none."""
    pages = cloud.ecr.get_paginator("describe_images").paginate(repositoryName=builder.repository)
    images = [image for page in pages for image in page["imageDetails"]]
    newest = max(images, key=lambda image: image["imagePushedAt"], default=None)
    return f"{builder.repository_uri}@{newest['imageDigest']}" if newest else None


def _tagged(cloud: Cloud, builder: Builder, tag: str) -> dict[str, str]:
    """The digests of the images of that tag, and of those rebuilt from the same, by their tags."""
    pages = cloud.ecr.get_paginator("list_images").paginate(
        repositoryName=builder.repository, filter={"tagStatus": "TAGGED"}
    )
    images = [image for page in pages for image in page["imageIds"]]
    return {image["imageTag"]: image["imageDigest"] for image in images if _is_of(image["imageTag"], tag)}


def _is_of(image_tag: str, tag: str) -> bool:
    return image_tag.partition(_REBUILT)[0] == tag


def build(
    cloud: Cloud,
    builder: Builder,
    context: BuildContext,
    say: Callable[[str], None],
    *,
    cache: Sequence[str] = (),
    rebuild: bool = False,
) -> str:
    """Build an image, or wait for a build of it that somebody else has started.

    Args:
        cloud: A session of the environment.
        builder: Where to build.
        context: What to build from.
        say: Takes the lines of the build's log as they come.
        cache: References of images whose layers may be used again, where they would become the same.
        rebuild: Build it from the ground up, with the newest of all that is not pinned, though there may be one.

    Returns:
        The reference of the image.

    Raises:
        DeployError: The build failed; the message has the first useful line of its log.
    """
    build = _running_build(cloud, builder.project, context.tag, rebuild=rebuild)
    if build is None:
        options = FROM_THE_GROUND_UP if rebuild else [f"--cache-from {image}" for image in cache]
        build = _start(cloud, builder, _updated(context) if rebuild else context, " ".join(options))
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
    digest = _tagged(cloud, builder, context.tag).get(_tag_of(build))
    if digest:
        return f"{builder.repository_uri}@{digest}"
    for line in log.settle() if log else ():
        say(line)
    raise _failed(build, context.tag, log.lines if log else [])


def _updated(context: BuildContext) -> BuildContext:
    """The context of an image with the system's updates of today, which the base, pinned as it is, does not have."""
    now = f"{datetime.now(timezone.utc):%Y%m%d%H%M%S}"
    dockerfile = _with_arguments(context.files["Dockerfile"].content.decode(), {"SYSTEM_UPDATES": now})
    return BuildContext({**context.files, "Dockerfile": _text(dockerfile.encode())}, f"{context.tag}{_REBUILT}{now}")


def _start(cloud: Cloud, builder: Builder, context: BuildContext, options: str) -> BuildTypeDef:
    key = names.build_context_key(context.tag)
    with tempfile.TemporaryDirectory() as folder:
        assets.upload(cloud, _write(context, Path(folder) / "context.zip"), builder.bucket, [key])
    variables = {
        IMAGE_TAG_VARIABLE: context.tag,
        IMAGE_REPOSITORY_VARIABLE: builder.repository_uri,
        IMAGE_OPTIONS_VARIABLE: options,
    }
    return cloud.codebuild.start_build(
        projectName=builder.project,
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{builder.bucket}/{key}",
        environmentVariablesOverride=[
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
    )["build"]


def _running_build(cloud: Cloud, project: str, tag: str, *, rebuild: bool) -> BuildTypeDef | None:
    ids = cloud.codebuild.list_builds_for_project(projectName=project, sortOrder="DESCENDING")["ids"]
    if not ids:
        return None
    for build in cloud.codebuild.batch_get_builds(ids=ids[:BUILDS_LOOKED_AT])["builds"]:
        found = _tag_of(build)
        if build["buildStatus"] == IN_PROGRESS and _is_of(found, tag) and rebuild == (_REBUILT in found):
            return build
    return None


def _tag_of(build: BuildTypeDef) -> str:
    """The tag of the image that a build makes."""
    variables = build.get("environment", {}).get("environmentVariables", [])
    return next((variable["value"] for variable in variables if variable["name"] == IMAGE_TAG_VARIABLE), "")


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


def _failed(build: BuildTypeDef, tag: str, lines: list[str]) -> DeployError:
    found = failure(lines)
    what = "all was installed, but the image could not be stored" if found.installed else "the image could not be built"
    of = f" from {found.file}" if found.file else ""
    where = build.get("logs", {})
    in_the_cloud = f"in CloudWatch, {where.get('groupName', '')}, stream {where.get('streamName', '')}"
    whole = f"the whole log: {keep_log(lines, tag) or in_the_cloud}"
    details = found.details[-LOG_LINES_SHOWN:]
    return DeployError(
        f"{what}{of}: {found.reason or _status(build)}",
        hint=found.hint or (f"correct {found.file} and deploy again" if found.file else whole),
        details=(*details, whole) if found.hint or found.file else details,
    )


def _status(build: BuildTypeDef) -> str:
    """Why a build ended, as CodeBuild says."""
    contexts = [context for phase in build.get("phases", []) for context in phase.get("contexts", [])]
    reasons = [text for context in contexts if (text := context.get("message", ""))]
    return reasons[-1].splitlines()[0] if reasons else build["buildStatus"].lower().replace("_", " ")
