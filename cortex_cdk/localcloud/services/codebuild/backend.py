"""Runs builds: a build makes a Python environment, and puts an image that stands for the environment into ECR.

Of a project's build, only the source counts (a zip in S3 with ``project/`` and ``serving_image/``), and the variables
``IMAGE_TAG`` and ``IMAGE_REPOSITORY``. The project's buildspec, which calls Docker, is not run.
"""

from __future__ import annotations

import copy
import io
import re
import stat
import threading
import time
import zipfile
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import moto.codebuild.urls
from cortex_serving import contract
from cortex_serving.project import checked_members
from moto.codebuild.exceptions import ResourceNotFoundException
from moto.codebuild.models import CodeBuildBackend, codebuild_backends
from moto.codebuild.responses import CodeBuildResponse
from moto.core.responses import ActionResult
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends

from cortex_cdk.image_reference import repository_uri
from cortex_cdk.localcloud.python_environments import environments
from cortex_cdk.localcloud.python_environments.environments import Context, ContextFile
from cortex_cdk.localcloud.services.ecr import images
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

PHASES_AFTER_BUILD = ("POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING")
IMAGE_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
"""As Docker defines tags ("docker image tag", Docker CLI reference). The tag names a folder here."""
FAILED = "COMMAND_EXECUTION_ERROR"
TAG, REPOSITORY = contract.IMAGE_TAG_VARIABLE, contract.IMAGE_REPOSITORY_VARIABLE
"""Variables of a build that say what to make."""
Build = dict[str, Any]


class LocalCodeBuild(CodeBuildBackend):
    """The CodeBuild of one region.

    Attributes:
        environments: The folder of the environments, for all regions.
    """

    environments: ClassVar[Path]

    @property
    def _url_module(self) -> Any:
        # moto derives the module from the class, which is ours here.
        return moto.codebuild.urls

    def begin(self, project_name: str, overrides: dict[str, Any]) -> Build:
        """Start a build in a thread of its own.

        Args:
            project_name: The project.
            overrides: The parameters of StartBuild whose names end with ``Override``.

        Returns:
            The build as AWS describes it.

        Raises:
            ResourceNotFoundException: There is no such project.
        """
        with STATE_LOCK:
            project = self.codebuild_projects.get(project_name)
            if project is None:
                raise ResourceNotFoundException(f"Project cannot be found: {project_name}")
            build: Build = self.start_build(project_name)
            stream = build["id"].rpartition(":")[2]
            group = _log_group(project.project_metadata)
            variables = [*_variables(project.project_metadata), *(overrides.get("environmentVariablesOverride") or [])]
            build["logs"] = {"groupName": group, "streamName": stream, "cloudWatchLogs": {"status": "ENABLED"}}
            build["environment"]["environmentVariables"] = variables
            build["startTime"] = _now()
            build["phases"] = [_phase("SUBMITTED")]
            build["source"] = {
                "type": overrides.get("sourceTypeOverride") or project.project_metadata["source"]["type"],
                "location": overrides.get("sourceLocationOverride")
                or project.project_metadata["source"].get("location", ""),
            }
            self._log_stream(build)
        work = threading.Thread(target=self._run, args=(build,), name=f"build-{stream[:8]}", daemon=True)
        answer = copy.deepcopy(build)
        work.start()
        return answer

    def batch_get_builds(self, ids: list[str]) -> list[Build]:
        """Return the builds with these ids."""
        with STATE_LOCK:
            return [build for build in self._builds() if build["id"] in ids]

    def end_interrupted(self) -> None:
        """Record that builds of an earlier daemon have stopped."""
        for build in self._builds():
            if build["buildStatus"] == "IN_PROGRESS":
                _finish(build, "STOPPED", "The local cloud was restarted.")

    def _builds(self) -> list[Build]:
        return [build for builds in self.build_metadata_history.values() for build in builds]

    def build_again(self, image: images.LostImage) -> bool:
        """Start to build an image again whose programs are gone. The image's tasks wait.

        Returns:
            Whether the image can be built: its origin is known, and the build context still exists.
        """
        origin = image.origin or self._origin(image.tag)
        if origin is None or origin.project not in self.codebuild_projects or _source(origin.source) is None:
            return False
        images.await_build(image)
        address = repository_uri(self.account_id, self.region_name, image.repository)
        variables = {TAG: image.tag, REPOSITORY: address}
        self.begin(
            origin.project,
            {
                "sourceTypeOverride": "S3",
                "sourceLocationOverride": origin.source,
                "environmentVariablesOverride": [{"name": name, "value": value} for name, value in variables.items()],
            },
        )
        return True

    def _origin(self, tag: str) -> images.Origin | None:
        """Return the origin of an image whose manifest, of an earlier version, does not name it."""
        for build in self._builds():
            if build["buildStatus"] == "SUCCEEDED" and _variables_of(build).get(TAG) == tag:
                return images.Origin(build["projectName"], build["source"]["location"])
        return None

    def _run(self, build: Build) -> None:
        variables = _variables_of(build)
        tag, repository = variables.get(TAG, ""), variables.get(REPOSITORY, "").partition("/")[2]
        try:
            self._build(build, tag, repository)
        except environments.CannotBuildError as error:
            self._fail(build, str(error))
        except Exception as error:
            # A mistake in the request (no such object, no such repository) is a failure of the build.
            self._fail(build, f"{type(error).__name__}: {error}")
        else:
            with STATE_LOCK:
                for name in PHASES_AFTER_BUILD:
                    self._enter(build, name)
                _finish(build, "SUCCEEDED", None)
        finally:
            images.end_wait(repository, tag)

    def _build(self, build: Build, tag: str, repository: str) -> None:
        if not IMAGE_TAG.fullmatch(tag):
            raise environments.CannotBuildError(f"invalid tag {tag!r}: invalid reference format")
        self._enter(build, "DOWNLOAD_SOURCE")
        location = build["source"]["location"]
        context = self._context(location)
        self._enter(build, "BUILD")
        # Who builds an image from the ground up wants what is new.
        fresh = "--no-cache" in _variables_of(build).get(contract.IMAGE_OPTIONS_VARIABLE, "").split()
        say = partial(self._say, build)
        binaries = environments.provide(context, self.environments / tag, say, fresh=fresh)
        origin = images.Origin(build["projectName"], location)
        digest = images.put(self.region_name, repository, tag, binaries, (contract.COMMAND,), origin=origin)
        self._say(build, f"{repository}:{tag} is {digest}")

    def _context(self, location: str) -> Context:
        """Return the files of a zip in S3, by path."""
        with STATE_LOCK:
            content = _source(location)
        if content is None:
            raise FileNotFoundError(f"s3://{location} does not exist")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {
                str(path): ContextFile(archive.read(member), bool(member.external_attr >> 16 & stat.S_IXUSR))
                for member, path in checked_members(archive)
                if not member.is_dir()
            }

    def _enter(self, build: Build, phase: str) -> None:
        with STATE_LOCK:
            _end_phase(build, "SUCCEEDED", None)
            build["phases"].append(_phase(phase))
            build["currentPhase"] = phase

    def _fail(self, build: Build, reason: str) -> None:
        # CodeBuild's words. The failed command has told the cause before.
        self._say(
            build, f"[Container] {_now():%Y/%m/%d %H:%M:%S} Phase context status code: {FAILED} Message: {reason}"
        )
        with STATE_LOCK:
            _finish(build, "FAILED", reason)

    def _log_stream(self, build: Build) -> None:
        logs = logs_backends[ACCOUNT_ID][self.region_name]
        logs.ensure_log_group(build["logs"]["groupName"])
        logs.ensure_log_stream(build["logs"]["groupName"], build["logs"]["streamName"])

    def _say(self, build: Build, line: str) -> None:
        event = {"timestamp": int(time.time() * 1000), "message": line}
        with STATE_LOCK:
            logs = logs_backends[ACCOUNT_ID][self.region_name]
            self._log_stream(build)
            logs.put_log_events(build["logs"]["groupName"], build["logs"]["streamName"], [event])


OVERRIDES = ("sourceTypeOverride", "sourceLocationOverride", "environmentVariablesOverride")
"""The parameters of StartBuild that count here."""


class LocalCodeBuildResponse(CodeBuildResponse):
    """moto's CodeBuild actions, with a StartBuild that starts a build."""

    def start_build(self) -> ActionResult:
        """Answer StartBuild."""
        overrides = {name: self._get_param(name) for name in OVERRIDES}
        backend: Any = self.codebuild_backend
        return ActionResult({"build": backend.begin(self._get_param("projectName"), overrides)})


def install(state: Path) -> None:
    """Make moto use this CodeBuild. Call this before the first use. Another call moves the state folder.

    Args:
        state: The state folder, whose folders ``images/<tag>`` hold the environments.
    """
    LocalCodeBuild.environments = state / "images"
    codebuild_backends.backend = LocalCodeBuild
    moto.codebuild.urls.url_paths["{0}/$"] = LocalCodeBuildResponse.dispatch


def recover() -> None:
    """Record that builds of an earlier daemon have stopped, and build images again whose programs are gone.

    Call this once, before the first request.
    """
    with STATE_LOCK:
        backends: dict[str, Any] = codebuild_backends[ACCOUNT_ID]
        for backend in list(backends.values()):
            backend.end_interrupted()
        for image in images.lost():
            if not backends[image.region].build_again(image):
                images.forget(image)


def close() -> None:
    """End the builds that run. Call this when no request comes any more."""
    environments.end_all()


def _source(location: str) -> bytes | None:
    """Return a build context in S3, by bucket, slash and key; None if there is none."""
    bucket, _, key = location.partition("/")
    s3 = s3_backends[ACCOUNT_ID]["aws"]
    found = s3.get_object(bucket, key) if bucket in s3.buckets else None
    return bytes(found.value) if found else None


def _variables_of(build: Build) -> dict[str, str]:
    return {item["name"]: item["value"] for item in build["environment"].get("environmentVariables", [])}


def _log_group(project: dict[str, Any]) -> str:
    configured = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    return str(configured.get("groupName") or f"/aws/codebuild/{project['name']}")


def _variables(project: dict[str, Any]) -> list[dict[str, str]]:
    return list((project.get("environment") or {}).get("environmentVariables") or [])


def _phase(name: str) -> dict[str, Any]:
    return {"phaseType": name, "startTime": _now()}


def _end_phase(build: Build, status: str, reason: str | None) -> None:
    phase = build["phases"][-1]
    if "endTime" not in phase:
        phase["endTime"] = _now()
        phase["durationInSeconds"] = int((phase["endTime"] - phase["startTime"]).total_seconds())
        phase["phaseStatus"] = status
        if reason:
            phase["contexts"] = [{"statusCode": FAILED, "message": reason}]


def _finish(build: Build, status: str, reason: str | None) -> None:
    _end_phase(build, status, reason)
    build["phases"].append({"phaseType": "COMPLETED", "startTime": _now()})
    build.update(buildStatus=status, buildComplete=True, currentPhase="COMPLETED", endTime=_now())


def _now() -> datetime:
    return datetime.now(timezone.utc)
