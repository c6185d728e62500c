"""Turns tags from CloudFormation's lists of ``Key`` and ``Value`` into the forms that moto's back ends take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Tags = Iterable[Mapping[str, str]] | None


def as_dict(tags: Tags) -> dict[str, str]:
    """Return values by key."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def as_lower(tags: Tags) -> list[dict[str, str]]:
    """Return a list of ``key`` and ``value``, as ECS and CodeBuild have tags."""
    return [{"key": key, "value": value} for key, value in as_dict(tags).items()]


def as_list(tags: Tags) -> list[dict[str, str]]:
    """Return a list of ``Key`` and ``Value`` without the other fields that some services add."""
    return [{"Key": key, "Value": value} for key, value in as_dict(tags).items()]
