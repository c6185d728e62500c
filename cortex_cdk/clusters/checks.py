"""What can be wrong with a cluster in its account: found before anything is created.

Each check asks AWS. One that cannot be made (missing permission, an emulator without that service) is a warning and
stops nobody.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.capacity.pricing import DEFAULT_ZONES, nat_gateways
from cortex_cdk.config import Cluster, InstanceGroup, Vpc
from cortex_cdk.errors import ClusterError

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

# Codes of Service Quotas (reference aws.md, section 9): (on demand, spot) vCPUs by the letters of the family.
VCPU_QUOTAS: dict[str, tuple[str, str | None]] = {
    "inf": ("L-1945791B", None),
    **dict.fromkeys(("g", "gr", "vt"), ("L-DB2E81BA", "L-3819A6DF")),
    "p": ("L-417A185B", "L-7212CCBC"),
    **dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), ("L-1216C47A", "L-34B43A08")),
}
VPCS, ADDRESSES = ("vpc", "L-F678F1CE"), ("ec2", "L-0263D0A3")
REQUEST_MORE = "ask for more in the Service Quotas console"


@dataclass(frozen=True)
class Finding:
    """Something that a check found.

    Attributes:
        text: What, in one line.
        fatal: Whether the cluster could not be made or could never run an instance.
    """

    text: str
    fatal: bool


def check_account(cloud: Cloud, cluster: Cluster) -> None:
    """Compare the credentials' account with the one that the configuration names, if it names one.

    Raises:
        ClusterError: It is another.
    """
    if cluster.account is None:
        return
    account = cloud.sts.get_caller_identity()["Account"]
    if account != cluster.account:
        raise ClusterError(
            f"cluster {cluster.name} belongs to account {cluster.account}, and the credentials to {account}",
            hint="choose another environment with --env, or another profile with: cortex env configure",
        )


def check(cloud: Cloud, cluster: Cluster, *, creates: bool) -> list[Finding]:
    """Everything that AWS can be asked about a cluster before it is made or changed.

    Args:
        creates: Whether it would be made, so that its network counts too.
    """
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("the vCPU quotas", lambda: _vcpus(cloud, cluster)),
        ("where the instance types are offered", lambda: _offerings(cloud, cluster)),
    ]
    if cluster.vpc.id:
        checks.append(("the subnets", lambda: _subnets(cloud, cluster.vpc)))
    arn = cluster.load_balancer.certificate_arn
    if arn:
        checks.append(("the certificate", lambda: _certificate(cloud, arn)))
    if creates and cluster.vpc.id is None:
        checks.append(("the quota of VPCs", lambda: _vpcs(cloud)))
    if creates and nat_gateways(cluster):
        checks.append(("the quota of Elastic IP addresses", lambda: _addresses(cloud, nat_gateways(cluster))))
    return [finding for subject, ask in checks for finding in _attempt(subject, ask)]


def _attempt(subject: str, ask: Callable[[], Iterator[Finding]]) -> list[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return list(ask())
    except ClientError as error:
        return [Finding(f"could not check {subject}: {error.operation_name} answered {error_code(error)}", False)]
    except BotoCoreError as error:
        return [Finding(f"could not check {subject}: {error}", False)]


def _quota(cloud: Cloud, service: str, code: str) -> int:
    return int(cloud.service_quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])


def _vcpus(cloud: Cloud, cluster: Cluster) -> Iterator[Finding]:
    fewest: defaultdict[str, int] = defaultdict(int)
    most: defaultdict[str, int] = defaultdict(int)
    types: defaultdict[str, list[str]] = defaultdict(list)
    for group in cluster.instance_groups:
        code = quota_code(group)
        vcpus = [instance_types()[name].vcpus for name in group.instance_types if name in instance_types()]
        if code and vcpus:
            fewest[code] += group.min_instances * min(vcpus)
            most[code] += group.max_instances * max(vcpus)
            types[code].append(" or ".join(group.instance_types))
    for code, wanted in most.items():
        quota = _quota(cloud, "ec2", code)
        named = f"{', '.join(dict.fromkeys(types[code]))} (quota {code})"
        if quota == 0 or quota < fewest[code]:
            yield Finding(
                f"the account may have {quota} vCPUs of {named}, and the fewest instances need {fewest[code]}: "
                f"{REQUEST_MORE}",
                # A group that starts without instances can be made; it just could not grow.
                quota < fewest[code],
            )
        elif quota < wanted:
            yield Finding(
                f"the account may have {quota} vCPUs of {named}, and the most instances need {wanted}: {REQUEST_MORE}",
                False,
            )


def quota_code(group: InstanceGroup) -> str | None:
    """The quota that limits the vCPUs of a group; None where it is not known."""
    letters = re.match("[a-z]+", group.instance_types[0])
    codes = VCPU_QUOTAS.get(letters[0]) if letters else None
    if codes is None:
        return None
    return codes[1] if group.spot and not group.spot.on_demand_base else codes[0]


def _offerings(cloud: Cloud, cluster: Cluster) -> Iterator[Finding]:
    zones = _zones(cloud, cluster)
    if not zones:
        return  # The subnets do not exist, which another check says.
    names = sorted({name for group in cluster.instance_groups for name in group.instance_types})
    pages = cloud.ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": names}]
    )
    offered = {(o["InstanceType"], o["Location"]) for page in pages for o in page["InstanceTypeOfferings"]}
    for group in cluster.instance_groups:
        there = {name: [zone for zone in zones if (name, zone) in offered] for name in group.instance_types}
        for name, found in there.items():
            if not found:
                yield Finding(
                    f"{name} (group {group.name}) is not offered in {', '.join(zones)}: choose other zones or types",
                    not any(there.values()),
                )
            elif len(found) < len(zones):
                yield Finding(f"{name} (group {group.name}) is offered in {', '.join(found)} only", False)


def _subnets(cloud: Cloud, vpc: Vpc) -> Iterator[Finding]:
    for subnets in (vpc.public_subnets, vpc.private_subnets):
        # A filter, unlike a list of ids, leaves out what does not exist.
        filters: Sequence[FilterTypeDef] = [{"Name": "subnet-id", "Values": list(subnets)}]
        found = cloud.ec2.describe_subnets(Filters=filters)["Subnets"] if subnets else []
        home = {subnet["SubnetId"]: subnet["VpcId"] for subnet in found}
        for subnet in subnets:
            if home.get(subnet) != vpc.id:
                where = f"is in {home[subnet]}" if subnet in home else "does not exist"
                yield Finding(f"{subnet} is not a subnet of {vpc.id}: it {where}", True)
        zones = {subnet["AvailabilityZone"] for subnet in found}
        if len(found) == len(subnets) and len(zones) == 1:
            yield Finding(f"{', '.join(subnets)} are all in {zones.pop()}; the load balancer needs two zones", True)


def _zones(cloud: Cloud, cluster: Cluster) -> list[str]:
    """The availability zones in which the instances will be."""
    private = cluster.subnet_visibility == "private"
    subnets = cluster.vpc.private_subnets if private else cluster.vpc.public_subnets
    if subnets:
        described = cloud.ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": list(subnets)}])["Subnets"]
        return sorted({subnet["AvailabilityZone"] for subnet in described})
    if cluster.availability_zones:
        return list(cluster.availability_zones)
    region = cloud.ec2.describe_availability_zones(Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}])
    return sorted(zone["ZoneName"] for zone in region["AvailabilityZones"])[:DEFAULT_ZONES]


def _certificate(cloud: Cloud, arn: str) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    try:
        status = cloud.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        yield Finding(f"the certificate {arn} does not exist", True)
        return
    if status != "ISSUED":
        yield Finding(f"the certificate {arn} cannot be used: its status in ACM is {status}", True)


def _vpcs(cloud: Cloud) -> Iterator[Finding]:
    pages = cloud.ec2.get_paginator("describe_vpcs").paginate()
    yield from _one_more("VPCs", sum(len(page["Vpcs"]) for page in pages), 1, _quota(cloud, *VPCS))


def _addresses(cloud: Cloud, wanted: int) -> Iterator[Finding]:
    used = len(cloud.ec2.describe_addresses()["Addresses"])
    yield from _one_more("Elastic IP addresses", used, wanted, _quota(cloud, *ADDRESSES))


def _one_more(what: str, used: int, wanted: int, quota: int) -> Iterator[Finding]:
    if used + wanted > quota:
        yield Finding(
            f"the region has {used} of {quota} {what}, and the cluster needs {wanted} more: {REQUEST_MORE}", True
        )
