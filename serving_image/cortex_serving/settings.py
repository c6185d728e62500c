"""How this replica runs: from the container's environment (``CORTEX_*``), or the command line of a standalone run.

Everything is checked here, before anything starts: a worker that met a wrong value would fail again and again.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.contract import API_KEY_AUTH, COMMAND, CONFIG_FILE, LISTEN, Variable
from cortex_serving.errors import SpecError
from cortex_serving.formats.env_file import read_env_file
from cortex_serving.formats.predictor_variables import environment_of, secret_variables
from cortex_serving.spec import ApiSpec, parse_spec, read_config

DEFAULT_STOP_TIMEOUT = 30.0  # seconds; that of ECS
DEFAULT_CLIENT_TIMEOUT = 60.0  # seconds; that of nginx


class Http(enum.Enum):
    """How HTTP is served (``CORTEX_HTTP``): by waitress with fast paths, or, to compare, by waitress as it is."""

    FAST = "fast"
    STOCK = "stock"


@dataclass(frozen=True)
class Settings:
    """Everything that a replica is told from outside.

    Attributes:
        cluster: The cluster's name, for metrics; empty outside a cluster.
        revision: The API's deployed version.
        spec: What to serve.
        raw_spec: The specification as it was given; handed to workers unchanged.
        variables: Environment variables for the workers (``predictor.env``); empty in a task, whose container has them.
        project: ``s3://bucket/key`` of the project archive, or a folder.
        project_dir: Where an archive is unpacked; None takes a temporary folder.
        log_group: CloudWatch log group; None logs to standard output only.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        stop_timeout: Seconds between SIGTERM and SIGKILL (the task definition's stop timeout).
        termination_log: File that receives the reason of a fatal end (as Kubernetes' termination message).
        metadata_url: Where ECS tells a task about itself; None outside a task.
        http: How HTTP is served.
        client_timeout: Seconds that a client may do nothing in the middle of a request or an answer.
        keys: Where the API keys are: ``s3://bucket/key``, or a file; None for an API without keys.
    """

    cluster: str
    revision: str
    spec: ApiSpec
    raw_spec: Mapping[str, Any]
    variables: Mapping[str, str]
    project: str
    project_dir: Path | None
    log_group: str | None
    host: str
    port: int
    stop_timeout: float
    termination_log: Path | None
    metadata_url: str | None
    http: Http
    client_timeout: float
    keys: str | None = None


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and len(port) <= 5) or int(port) > 65535:
        raise SpecError(f"cannot listen on {text!r}: write HOST:PORT, such as {LISTEN}")
    return host, int(port)


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:  # nan is not, either
        raise SpecError(f"{name} is {text!r}: give seconds, such as {default:.0f}")
    return value


def _http(environ: Mapping[str, str]) -> Http:
    text = environ.get(Variable.HTTP) or Http.FAST.value
    try:
        return Http(text)
    except ValueError:
        known = " or ".join(mode.value for mode in Http)
        raise SpecError(f"{Variable.HTTP} is {text!r}: write {known}") from None


def _keys(spec: ApiSpec, environ: Mapping[str, str]) -> str | None:
    """Where the API keys are.

    Raises:
        SpecError: The API asks for keys, and nobody says where they are.
    """
    if not spec.asks_for_key:
        return None
    location = environ.get(Variable.KEYS)
    if not location:
        raise SpecError(
            f"networking.auth is {API_KEY_AUTH}, and {Variable.KEYS} is not set: name the file with the keys, which "
            "cortex key create NAME --file FILE makes"
        )
    return location


def _specification(text: str) -> dict[str, Any]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{Variable.SPEC} is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise SpecError(f"{Variable.SPEC} is a JSON {type(raw).__name__}: give an object, one API of cortex.yaml")
    return raw


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings of a replica in a task, from the container's environment.

    Args:
        environ: The environment (``CORTEX_*``, as the stacks set them in the task definition).

    Raises:
        SpecError: A variable is missing or cannot be read.
    """
    for name in (Variable.SPEC, Variable.PROJECT):
        if not environ.get(name):
            raise SpecError(
                f"{name} is not set: give a project folder ({COMMAND} FOLDER), or start this in a task of a cluster"
            )
    raw = _specification(environ[Variable.SPEC])
    spec = parse_spec(raw)
    host, port = _listen(environ.get(Variable.LISTEN) or LISTEN)
    directory, log = environ.get(Variable.PROJECT_DIR), environ.get(Variable.TERMINATION_LOG)
    return Settings(
        cluster=environ.get(Variable.CLUSTER, ""),
        revision=environ.get(Variable.REVISION, ""),
        spec=spec,
        raw_spec=raw,
        variables={},
        project=environ[Variable.PROJECT],
        project_dir=Path(directory) if directory else None,
        log_group=environ.get(Variable.LOG_GROUP) or None,
        host=host,
        port=port,
        stop_timeout=_seconds(environ, Variable.STOP_TIMEOUT, DEFAULT_STOP_TIMEOUT),
        termination_log=Path(log) if log else None,
        metadata_url=environ.get("ECS_CONTAINER_METADATA_URI_V4"),
        http=_http(environ),
        client_timeout=_seconds(environ, Variable.CLIENT_TIMEOUT, DEFAULT_CLIENT_TIMEOUT),
        keys=_keys(spec, environ),
    )


def from_project(
    project: Path, config: Path | None, name: str | None, listen: str, environ: Mapping[str, str]
) -> Settings:
    """Settings of a standalone run of a project folder, with standard output as its only log.

    Args:
        project: The folder.
        config: The configuration file; None takes ``cortex.yaml`` in the folder.
        name: The API to serve; None takes the first Realtime API of the file.
        listen: ``HOST:PORT``.
        environ: The environment: ``CORTEX_HTTP``, ``CORTEX_CLIENT_TIMEOUT``, ``CORTEX_KEYS``, and the values of
            ``predictor.secrets``, which no cloud gives here.

    Raises:
        SpecError: The folder or its configuration cannot be used, or a secret has no value.
        FormatError: ``cortex.yaml`` or ``.env`` cannot be read.
    """
    if not project.is_dir():
        raise SpecError(f"{project} is not a folder: give the folder that holds {CONFIG_FILE}")
    raw = read_config(config or project / CONFIG_FILE, name)
    spec = parse_spec(raw)
    # Here, because workers would fail one after the other.
    given = {**read_env_file(project).variables(environ), **environ}
    missing = [variable for variable in secret_variables(raw) if not given.get(variable)]
    if missing:
        raise SpecError(
            f"predictor.secrets has variables without a value: {', '.join(missing)}: a cluster reads the secrets by "
            f"itself, and outside of one {COMMAND} takes the values from its own environment or from .env"
        )
    host, port = _listen(listen)
    return Settings(
        cluster="",
        revision="local",
        spec=spec,
        raw_spec=raw,
        variables=environment_of(raw),
        project=str(project.resolve()),
        project_dir=None,
        log_group=None,
        host=host,
        port=port,
        stop_timeout=DEFAULT_STOP_TIMEOUT,
        termination_log=None,
        metadata_url=None,
        http=_http(environ),
        client_timeout=_seconds(environ, Variable.CLIENT_TIMEOUT, DEFAULT_CLIENT_TIMEOUT),
        keys=_keys(spec, environ),
    )
