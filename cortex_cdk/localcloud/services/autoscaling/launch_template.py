"""Refuses launch templates with which no instance could start, as Auto Scaling does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.autoscaling.exceptions import ValidationError

ROOT_DEVICE = "/dev/xvda"
ROOT_SNAPSHOT_GIB = 30
"""Size of the root snapshot of the ECS-optimized AL2023 AMIs, the only images that groups run here.

Source: amazon-ecs-ami, ``variables.pkr.hcl`` (``block_device_size_gb``).
"""


def check(data: Mapping[str, Any]) -> None:
    """Refuse a launch template with which no instance would start.

    Source of the words: what CreateAutoScalingGroup answers (EC2 checks the template as in a dry run),
    aws-samples/amazon-autoscaling-mac1metal-ec2-with-terraform issue 6.

    Args:
        data: The launch template's data, as CreateLaunchTemplate takes it.

    Raises:
        ValidationError: The root volume is smaller than the snapshot of the image.
    """
    for mapping in data.get("BlockDeviceMappings") or ():
        size = int((mapping.get("Ebs") or {}).get("VolumeSize") or ROOT_SNAPSHOT_GIB)
        if mapping.get("DeviceName") == ROOT_DEVICE and size < ROOT_SNAPSHOT_GIB:
            raise ValidationError(
                "You must use a valid fully-formed launch template. "
                f"Volume of size {size}GB is smaller than snapshot 'snap-{_digits(data)}', "
                f"expect size >= {ROOT_SNAPSHOT_GIB}GB"
            )


def _digits(data: Mapping[str, Any]) -> str:
    """Return the digits of the image's snapshot: here the same as those of the image's id."""
    return str(data.get("ImageId") or "").rpartition("-")[2]
