"""How this replica runs: the container's environment variables, or the command line of a standalone run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.contract import COMMAND, LISTEN, Variable
from cortex_serving.errors import SpecError
from cortex_serving.spec import ApiSpec, parse_spec, read_config


@dataclass(frozen=True)
class Settings:
    """Everything that a replica is told from outside.

    Attributes:
        raw_spec: The specification as it was given; handed to workers unchanged.
        project: ``s3://bucket/key`` of the project archive, or a folder.
        project_dir: Where an archive is unpacked; None takes a temporary folder.
        log_group: CloudWatch log group; None logs to standard output only.
        stop_timeout: Seconds between SIGTERM and SIGKILL (the task definition's stop timeout).
        termination_log: File that receives the reason of a fatal end (as Kubernetes' termination message).
    """

    cluster: str
    revision: str
    spec: ApiSpec
    raw_spec: Mapping[str, Any]
    project: str
    project_dir: Path | None
    log_group: str | None
    host: str
    port: int
    stop_timeout: float
    termination_log: Path | None
    metadata_url: str | None


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise SpecError(f"cannot listen on {text!r}: write HOST:PORT, such as {LISTEN}")
    return host, int(port)


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings of a replica in a task, from the container's environment.

    Raises:
        SpecError: A variable is missing or cannot be read.
    """
    for name in (Variable.SPEC, Variable.PROJECT):
        if not environ.get(name):
            raise SpecError(
                f"{name} is not set: give a project folder ({COMMAND} FOLDER), or start this in a task of a cluster"
            )
    try:
        raw = json.loads(environ[Variable.SPEC])
    except ValueError as error:
        raise SpecError(f"{Variable.SPEC} is not JSON: {error}") from error
    host, port = _listen(environ.get(Variable.LISTEN) or LISTEN)
    directory, log = environ.get(Variable.PROJECT_DIR), environ.get(Variable.TERMINATION_LOG)
    return Settings(
        cluster=environ.get(Variable.CLUSTER, ""),
        revision=environ.get(Variable.REVISION, ""),
        spec=parse_spec(raw),
        raw_spec=raw,
        project=environ[Variable.PROJECT],
        project_dir=Path(directory) if directory else None,
        log_group=environ.get(Variable.LOG_GROUP) or None,
        host=host,
        port=port,
        stop_timeout=float(environ.get(Variable.STOP_TIMEOUT) or 30),
        termination_log=Path(log) if log else None,
        metadata_url=environ.get("ECS_CONTAINER_METADATA_URI_V4"),
    )


def from_project(project: Path, config: Path | None, name: str | None, listen: str) -> Settings:
    """Settings of a standalone run of a project folder, with standard output as its only log.

    Raises:
        SpecError: The folder or its configuration cannot be used.
    """
    if not project.is_dir():
        raise SpecError(f"{project} is not a folder: give the folder that holds cortex.yaml")
    raw = read_config(config or project / "cortex.yaml", name)
    host, port = _listen(listen)
    return Settings(
        cluster="",
        revision="local",
        spec=parse_spec(raw),
        raw_spec=raw,
        project=str(project.resolve()),
        project_dir=None,
        log_group=None,
        host=host,
        port=port,
        stop_timeout=30.0,
        termination_log=None,
        metadata_url=None,
    )
