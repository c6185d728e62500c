"""Reads which environment variables an entry of ``cortex.yaml`` gives its replicas, for a run without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_serving.errors import SpecError
from cortex_serving.formats.env_file import too_large, wrong_variable


def environment_of(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables of an entry of ``cortex.yaml`` (``predictor.env``).

    Args:
        data: The entry.

    Raises:
        SpecError: A name or value cannot be that of an environment variable.
    """
    variables: Mapping[str, Any] = (data.get("predictor") or {}).get("env") or {}
    for name, value in variables.items():
        if reason := wrong_variable(name, value) or too_large(name, value):
            raise SpecError(f"predictor.env.{name} {reason}")
    return dict(variables)


def secret_variables(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the variables that get secrets, of an entry of ``cortex.yaml`` (``predictor.secrets``).

    Raises:
        SpecError: The field is no map.
    """
    secrets = (data.get("predictor") or {}).get("secrets") or {}
    if not isinstance(secrets, Mapping):
        raise SpecError("predictor.secrets is no map: write VARIABLE: NAME")
    return tuple(map(str, secrets))
