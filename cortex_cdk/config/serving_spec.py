"""Writes the specification of an API for the serving program, the value of ``CORTEX_SPEC``."""

from __future__ import annotations

import json
from typing import Any

from cortex_serving.contract import DEFAULT_STARTUP_TIMEOUT_S

from cortex_cdk.config.realtime_api import RealtimeApi

_NOT_SERVED = {"env", "iam_policies", "secrets", "image", "base_image", "tensorflow_serving_image", "shm_size"}


def serving_spec(api: RealtimeApi, endpoint: str) -> str:
    """Write the specification of an API, as the serving program reads it (``cortex_serving.spec``).

    The specification leaves out the image and the environment, which the container has already, and scaling and
    permissions, so that a change of those restarts no replica. Nor does a change of the endpoint: see
    ``deploy.plan.plan_stack``. Everything stands in the user's order, because predictors may give the order of their
    ``config`` a meaning.

    Args:
        api: The API.
        endpoint: The path at which the API answers.

    Returns:
        JSON text.
    """
    left_out = set(_NOT_SERVED)
    if api.predictor.startup_timeout == DEFAULT_STARTUP_TIMEOUT_S:  # else it would replace the replicas of every API
        left_out.add("startup_timeout")
    spec: dict[str, Any] = {
        "name": api.name,
        "endpoint": endpoint,
        "predictor": api.predictor.model_dump(mode="json", exclude=left_out),
        "monitoring": api.monitoring.model_dump(mode="json") if api.monitoring else None,
        "compute": {"mem": api.compute.mem},
        "max_replica_concurrency": api.autoscaling.max_replica_concurrency,
    }
    if api.networking.served:  # left out else: an empty one would replace the replicas of every API there is
        spec["networking"] = api.networking.served
    return json.dumps(spec, separators=(",", ":"))
