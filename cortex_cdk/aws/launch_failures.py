"""Why EC2 launches no instance of an instance group, from the scaling activities of its Auto Scaling group.

ECS and CloudFormation only wait; the reason is in the group's last activity. Read ``last_launch_failure`` first.

Sources of EC2's words: "Troubleshoot Amazon EC2 Auto Scaling" (EC2 Auto Scaling user guide), "Error codes for the
Amazon EC2 API", and activities in reports of users (aws-parallelcluster 1944, aws-ethereum-miner 23, kops 15778,
cortexlabs/cortex 1258).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import ActivityTypeDef

LAUNCHING = "Launching a new EC2 instance"
"""How the descriptions of launches begin."""
ENDED = ("Successful", "Failed")
MOST_ACTIVITIES = 20
_ALWAYS_SAID = " Launching EC2 instance failed."
_BY_FLEET = re.compile(r"^Could not launch (?:Spot|On-Demand) Instances\. ([\w.]+) - ", re.DOTALL)
_LONGEST = 200
"""Characters of a message that is shown as it is."""
_GOES_ON = "EC2 Auto Scaling goes on trying"


@dataclass(frozen=True)
class LaunchFailure:
    """A launch that failed.

    Attributes:
        what: Why, in a few words.
        to_do: What to do next.
        said: EC2's own message.
        at: When the launch was tried.
    """

    what: str
    to_do: str
    said: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.what}: {self.to_do}"

    def as_json(self) -> dict[str, str]:
        """What ``cortex cluster info -o json`` prints."""
        return {"reason": self.what, "hint": self.to_do, "message": self.said, "at": self.at.isoformat()}


@dataclass(frozen=True)
class _Explanation:
    """What a message of EC2 means.

    Attributes:
        pattern: Finds the message, or the error code before it.
        what: What happened; groups of the pattern may stand in it, such as ``{1}``.
        to_do: What to do next.
    """

    pattern: re.Pattern[str]
    what: str
    to_do: str


def _known(pattern: str, what: str, to_do: str) -> _Explanation:
    return _Explanation(re.compile(pattern, re.IGNORECASE | re.DOTALL), what, to_do)


# The first that fits is taken: what names a cause comes before what is said of many.
_EXPLANATIONS: tuple[_Explanation, ...] = (
    _known(
        r"ServiceLinkedRoleCreationNotPermitted|service-linked role for EC2 Spot",
        "the account lacks the service-linked role for spot instances",
        "make it once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
    ),
    _known(
        r"assume role.{0,120}AWSServiceRoleForAutoScaling|Service-Linked Role for Auto ?Scaling",
        "EC2 Auto Scaling may not use its service-linked role",
        "make it once: aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com",
    ),
    _known(
        r"MaxSpotInstanceCountExceeded|max spot instance count exceeded",
        "the account may have no more spot instances of this family",
        "ask for more vCPUs of spot requests in the Service Quotas console, or leave spot out of the instance group",
    ),
    _known(
        r"vCPU capacity than your current vCPU limit of (\d+)",
        "the account may have no more than {1} vCPUs of this family of instances",
        "ask for more in the Service Quotas console (Amazon EC2, Running On-Demand instances), or choose smaller or "
        "other instance_types",
    ),
    _known(
        r"VcpuLimitExceeded|InstanceLimitExceeded|current instance limit of|Fleet Requests for this account",
        "the account's quota of instances is used up",
        "ask for more in the Service Quotas console (Amazon EC2), or choose other instance_types",
    ),
    _known(
        r"not eligible for Free Tier",
        "the account's plan does not include this instance type",
        "upgrade the account's plan (Billing console), or choose a type that aws ec2 describe-instance-types "
        "--filters Name=free-tier-eligible,Values=true lists",
    ),
    _known(
        r"SpotMaxPriceTooLow|Your Spot request price",
        "the price of spot instances is above the highest that the group pays",
        "raise spot.max_price, or leave it out",
    ),
    _known(
        r"no Spot capacity available|UnfulfillableCapacity",
        "EC2 has no spot instances of these types now",
        f"{_GOES_ON}; give the group more instance_types, or an on-demand share in spot",
    ),
    _known(
        r"sufficient ([\w.-]+) capacity in the Availability Zone you requested \(([\w-]+)\)",
        "EC2 has no {1} left in {2} now",
        f"{_GOES_ON}; give the group other instance_types, or the cluster other availability_zones",
    ),
    _known(
        r"InsufficientInstanceCapacity|Insufficient(?:Host|Reserved\w*)?Capacity|insufficient capacity",
        "EC2 has no instances of these types left now",
        f"{_GOES_ON}; give the group other instance_types, or the cluster other availability_zones",
    ),
    _known(
        r"instance type \(([\w.-]+)\) is not supported in your requested Availability Zone \(([\w-]+)\)",
        "{1} is not offered in {2}",
        "choose other instance_types or availability_zones",
    ),
    _known(
        r"Unsupported|requested configuration is currently not supported",
        "EC2 does not offer this type with these settings",
        "choose other instance_types, or another volume.type",
    ),
    _known(
        r"Client\.InternalError|KMS|Client error on launch",
        "the instance ended at once, because its encrypted volume could not be opened",
        "let AWSServiceRoleForAutoScaling use the KMS key of EBS's default encryption (the key's policy, with "
        "kms:CreateGrant)",
    ),
    _known(
        r"VolumeLimitExceeded|Volume limit exceeded|MaxIOPSLimitExceeded",
        "the account's quota of EBS volumes is used up",
        "ask for more in the Service Quotas console (Amazon EBS), or make volume.size smaller",
    ),
    _known(
        r"InsufficientFreeAddresses|not enough free addresses in subnet '?([\w-]*)",
        "the subnet {1} has no free addresses",
        "give the cluster larger subnets, or more of them",
    ),
    _known(
        r"PendingVerification|being validated",
        "AWS still verifies the account",
        "wait: it takes up to four hours, and EC2 Auto Scaling goes on trying",
    ),
    _known(
        r"account is currently blocked|\bBlocked\b",
        "AWS has blocked the account",
        "write to AWS Support (Account and billing)",
    ),
    _known(
        r"UnauthorizedOperation|not authorized to perform|Access denied",
        "EC2 Auto Scaling is not allowed to launch the instance",
        "look for a policy of the organization (SCP) that denies ec2:RunInstances, such as by region, type or tag",
    ),
    _known(
        r"InvalidAMIID|image id '?\[?(ami-\w+)",
        "the image {1} of the instances does not exist any more",
        "make the cluster take the newest: cortex cluster configure",
    ),
    _known(
        r"(launch template|security group|subnet)\b.{0,60}?(does not exist|could not be found|not found)",
        "the {1} of the instances does not exist any more",
        "make it again: cortex cluster configure",
    ),
)


def explain(said: str, at: datetime) -> LaunchFailure:
    """Say what the message of a failed launch means.

    Args:
        said: The activity's ``StatusMessage``.
        at: When the launch was tried.
    """
    said = " ".join(said.split()).removesuffix(_ALWAYS_SAID.strip()).strip()
    for known in _EXPLANATIONS:
        found = known.pattern.search(said)
        if found:
            words = known.what.format(found[0], *(group or "" for group in found.groups()))
            return LaunchFailure(" ".join(words.split()), known.to_do, said, at)
    plain = _BY_FLEET.sub("", said)
    shown = plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
    return LaunchFailure(
        f"EC2 says: {shown.rstrip('.') or 'nothing'}",
        "see the activities of the Auto Scaling group in the EC2 console",
        said,
        at,
    )


def last_launch_failure(cloud: Cloud, group: str, since: datetime | None) -> LaunchFailure | None:
    """Read why the last launch of an instance failed.

    Args:
        cloud: Where the group is.
        group: Name of an Auto Scaling group that lacks instances.
        since: Since when it lacks them: what failed before is of another need. None takes the last one in any case.

    Returns:
        None where no launch has failed since, or a later one succeeded, or the user may not ask.
    """
    from botocore.exceptions import ClientError

    try:
        found = cloud.autoscaling.describe_scaling_activities(AutoScalingGroupName=group, MaxRecords=MOST_ACTIVITIES)
    except ClientError:
        # Why something waits is said all the same, less exactly.
        return None
    return _last_failure(found["Activities"], since)


def _last_failure(activities: Sequence[ActivityTypeDef], since: datetime | None) -> LaunchFailure | None:
    launches = [one for one in activities if one["Description"].startswith(LAUNCHING) and one["StatusCode"] in ENDED]
    if not launches:
        return None
    last = max(launches, key=lambda one: one["StartTime"])
    if last["StatusCode"] != "Failed" or (since and last["StartTime"] < since):
        return None
    return explain(last.get("StatusMessage") or last["Description"], last["StartTime"])
