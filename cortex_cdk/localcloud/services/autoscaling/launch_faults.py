"""Launch faults: EC2 launches no instance of a group for a while, and the group's scaling activities say why.

A fault is part of the stored state, so that a fault outlives a restart, and ends by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.faults import LAUNCH_FAILURE, NO_CAPACITY

DEFAULT_CODE = "InsufficientInstanceCapacity"
CODES = {NO_CAPACITY: DEFAULT_CODE, LAUNCH_FAILURE: "VcpuLimitExceeded"}
"""The usual error code by kind of fault."""
MESSAGES: Mapping[str, str] = {
    DEFAULT_CODE: (
        "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our "
        "system will be working on provisioning additional capacity. You can currently get {type} capacity by not "
        "specifying an Availability Zone in your request."
    ),
    "VcpuLimitExceeded": (
        "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that "
        "the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request "
        "an adjustment to this limit."
    ),
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded.",
    "UnfulfillableCapacity": (
        "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request "
        "configuration. Please adjust your request and try again."
    ),
    "InvalidParameterCombination": (
        "The specified instance type is not eligible for Free Tier. For a list of Free Tier instance types, run "
        "'describe-instance-types' with the filter 'free-tier-eligible=true'."
    ),
    "Unsupported": (
        "Your requested instance type ({type}) is not supported in your requested Availability Zone ({zone}). Please "
        "retry your request by not specifying an Availability Zone."
    ),
    "Client.InternalError": (
        "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "
        "Client.InternalError: Client error on launch."
    ),
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted": (
        "Could not launch Spot Instances. AuthFailure.ServiceLinkedRoleCreationNotPermitted - The provided credentials "
        "do not have permission to create the service-linked role for EC2 Spot Instances."
    ),
    "InsufficientFreeAddressesInSubnet": (
        "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."
    ),
    "VolumeLimitExceeded": (
        "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "
        "Client.VolumeLimitExceeded: Volume limit exceeded."
    ),
    "UnauthorizedOperation": "You are not authorized to perform this operation.",
    "PendingVerification": (
        "Your request for accessing resources in this region is being validated, and you will not be able to launch "
        "additional resources in this region until the validation is complete."
    ),
}
"""EC2's words by its error code ("Error codes for the Amazon EC2 API", and reports of users)."""


@dataclass(frozen=True)
class LaunchFault:
    """Why EC2 launches nothing, and until when.

    Attributes:
        code: EC2's error code.
        message: EC2's message; ``{type}``, ``{zone}`` and ``{subnet}`` stand for those of the launch.
        until: When the fault ends, in seconds since the epoch.
    """

    code: str
    message: str
    until: float

    @classmethod
    def lasting(cls, seconds: float, code: str = DEFAULT_CODE, message: str | None = None) -> LaunchFault:
        """Make a fault that begins now.

        Args:
            seconds: For how long.
            code: EC2's error code.
            message: EC2's message; None takes the usual one of the code.

        Raises:
            ValueError: The code is not known, and there is no message.
        """
        words = message or MESSAGES.get(code)
        if words is None:
            raise ValueError(f"{code!r} is no error code of a launch that is known here: {', '.join(MESSAGES)}")
        return cls(code, words, steady_clock.now() + seconds)

    @property
    def is_over(self) -> bool:
        """Whether instances start again."""
        return steady_clock.now() >= self.until

    @property
    def is_lack_of_capacity(self) -> bool:
        """Whether EC2 has no such instance to give now, which passes by itself."""
        return self.code == DEFAULT_CODE

    def reason(self, instance_type: str, zone: str, subnet: str) -> str:
        """Return what EC2 answers to a launch."""
        words = self.message
        for name, value in {"{type}": instance_type, "{zone}": zone, "{subnet}": subnet}.items():
            words = words.replace(name, value)
        return words
