"""CloudFormation writes ``PascalCase``; the APIs of ECS and CodeBuild write ``camelCase``."""

from __future__ import annotations

from typing import Any

# Names whose values belong to the user: their keys are data.
USER_MAPS = ("DockerLabels", "DriverOpts", "Labels", "Options")
IRREGULAR = {
    "BuildSpec": "buildspec",
    "EFSVolumeConfiguration": "efsVolumeConfiguration",
    "FSxWindowsFileServerVolumeConfiguration": "fsxWindowsFileServerVolumeConfiguration",
    "FilesystemId": "fileSystemId",
    "IAM": "iam",
}


def camel(value: Any) -> Any:
    """A value with the names of all its properties in the form of the API."""
    if isinstance(value, dict):
        return {camel_name(key): item if key in USER_MAPS else camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [camel(item) for item in value]
    return value


def camel_name(name: str) -> str:
    """One name in the form of the API."""
    return IRREGULAR.get(name) or name[:1].lower() + name[1:]
