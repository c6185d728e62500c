"""Turns a task definition into a container that can run on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cortex_serving.contract import Variable

from cortex_cdk.localcloud.containers.launch import DEFAULT_STOP_TIMEOUT, CannotStartError, Launch, OutputLimits
from cortex_cdk.localcloud.settings import HOST

INHERITED = re.compile(
    r"LANG|LC_\w+|TZ|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|(?:https?|all|no)_proxy", re.IGNORECASE | re.ASCII
)
"""The only variables of the daemon that a container gets: language, certificates and proxies."""
SIZE = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE | re.ASCII)
FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
MIB = 1024 * 1024


def gpus_wanted(container: Mapping[str, Any]) -> int:
    """Return how many GPUs a container definition asks for."""
    requirements = container.get("resourceRequirements") or []
    return sum(int(item["value"]) for item in requirements if item["type"] == "GPU")


def container_port(container: Mapping[str, Any]) -> int | None:
    """Return the first port that a container definition maps, None if it maps none."""
    mappings = container.get("portMappings") or []
    return int(mappings[0]["containerPort"]) if mappings else None


def plan(
    task_id: str,
    containers: Sequence[Mapping[str, Any]],
    *,
    binaries: Path,
    default_command: Sequence[str],
    port: int | None,
    control_port: int,
    gpus: Sequence[str],
    credentials: Mapping[str, str],
    secrets: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> Launch:
    """Turn a task definition into a container to launch.

    Args:
        task_id: The id of the task.
        containers: The container definitions, as registered.
        binaries: The folder of the image's programs, first on ``PATH``.
        default_command: The image's command, for a definition without one.
        port: The host port that stands for the container's port, if the definition maps a port.
        control_port: The port of the AWS API.
        gpus: The indices of the container's GPUs.
        credentials: The variables by which SDKs find the credentials of the task's role; empty for a task without.
        secrets: The values of the definition's secrets, by variable.
        overrides: The ``overrides`` of RunTask.

    Raises:
        CannotStartError: The definition asks for something that one process cannot do.
    """
    if len(containers) != 1:
        raise CannotStartError("The local cloud runs one container a task; the task definition has several.")
    container = containers[0]
    changed = _override(overrides, container["name"])
    command = [*(container.get("entryPoint") or []), *(changed.get("command") or container.get("command") or [])]
    memory = container.get("memory")
    return Launch(
        task_id=task_id,
        command=tuple(command or default_command),
        environment={
            **inherited(os.environ),
            **_platform(task_id, binaries, control_port, gpus),
            **credentials,
            **_pairs(container.get("environment")),
            **secrets,
            **_pairs(changed.get("environment")),
            **({Variable.LISTEN: f"{HOST}:{port}"} if port is not None else {}),
        },
        memory_limit=int(memory) * MIB if memory else None,
        stop_timeout=float(container.get("stopTimeout") or DEFAULT_STOP_TIMEOUT),
        output=_output_limits(container.get("logConfiguration") or {}),
    )


def _override(overrides: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    found = overrides.get("containerOverrides") or []
    return next((override for override in found if override.get("name") == container), {})


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the daemon's environment that a container sees."""
    return {name: value for name, value in environ.items() if INHERITED.fullmatch(name)}


def _platform(task_id: str, binaries: Path, control_port: int, gpus: Sequence[str]) -> dict[str, str]:
    """Return the variables that the ECS agent and the instance set, with the addresses of the local cloud."""
    control = f"http://{HOST}:{control_port}"
    return {
        "PATH": os.pathsep.join([str(binaries), os.environ.get("PATH", os.defpath)]),
        "AWS_ENDPOINT_URL": control,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ECS_CONTAINER_METADATA_URI_V4": f"{control}/v4/{task_id}",
        # On ECS, a container without a GPU requirement sees no GPU.
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
    }


def _pairs(items: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    return {item["name"]: item["value"] for item in items or []}


def _output_limits(configuration: Mapping[str, Any]) -> OutputLimits:
    options = configuration.get("options") or {}
    default = OutputLimits()
    size = SIZE.fullmatch(str(options.get("max-size", "")))
    return OutputLimits(
        max_bytes=int(size[1]) * FACTORS[size[2].lower()] if size else default.max_bytes,
        max_files=int(options.get("max-file", default.max_files)),
    )
