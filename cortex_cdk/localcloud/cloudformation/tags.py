"""Tags: CloudFormation writes lists of ``Key`` and ``Value``, moto's back ends want other forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Tags = Iterable[Mapping[str, str]] | None


def as_dict(tags: Tags) -> dict[str, str]:
    """Values by key."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def as_lower(tags: Tags) -> list[dict[str, str]]:
    """Lists of ``key`` and ``value``, as ECS and CodeBuild have them."""
    return [{"key": key, "value": value} for key, value in as_dict(tags).items()]


def as_list(tags: Tags) -> list[dict[str, str]]:
    """Lists of ``Key`` and ``Value``, without anything else that a service puts beside them."""
    return [{"Key": key, "Value": value} for key, value in as_dict(tags).items()]
