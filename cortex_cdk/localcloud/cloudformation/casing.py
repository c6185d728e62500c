"""Turns names of properties from CloudFormation's ``PascalCase`` into the ``camelCase`` of ECS and CodeBuild."""

from __future__ import annotations

from typing import Any

# The keys inside these properties are the user's data.
USER_MAPS = ("DockerLabels", "DriverOpts", "Labels", "Options")
IRREGULAR = {
    "BuildSpec": "buildspec",
    "EFSVolumeConfiguration": "efsVolumeConfiguration",
    "FSxWindowsFileServerVolumeConfiguration": "fsxWindowsFileServerVolumeConfiguration",
    "FilesystemId": "fileSystemId",
    "IAM": "iam",
}


def camel(value: Any) -> Any:
    """Return a value with the names of all its properties in the form of the API."""
    if isinstance(value, dict):
        return {camel_name(key): item if key in USER_MAPS else camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [camel(item) for item in value]
    return value


def camel_name(name: str) -> str:
    """Return one name in the form of the API."""
    return IRREGULAR.get(name) or name[:1].lower() + name[1:]
