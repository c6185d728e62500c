"""What instances start from, and how long they take until they run replicas."""

from __future__ import annotations

from cortex_cdk.config.sections.instance_group import Accelerator

WARMUP_S = 120
"""Seconds after which an instance that EC2 has started has joined ECS, and counts for scaling and for refreshes."""
# The Neuron variant of AL2023; AmiHardwareType.NEURON of the CDK names one that does not exist.
_VARIANTS: dict[Accelerator, str] = {"none": "", "gpu": "gpu/", "inf": "neuron/"}


def image_parameter(accelerator: Accelerator) -> str:
    """Return the Systems Manager parameter in which AWS publishes the newest machine image for a kind of instances.

    Source: "Retrieving Amazon ECS-optimized Linux AMI metadata" (ECS developer guide).

    Args:
        accelerator: The accelerator of the instances.
    """
    return f"/aws/service/ecs/optimized-ami/amazon-linux-2023/{_VARIANTS[accelerator]}recommended/image_id"
