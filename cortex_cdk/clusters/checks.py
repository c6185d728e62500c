"""What is wrong with a cluster in its account, found before anything is created or changed.

The checks have the shape of those of a deployment (``aws/checks.py``): each asks AWS and yields findings, and all of
them are shown at once. One that cannot be made is a warning and stops nobody.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_cdk.aws.checks import Check, run_checks
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.capacity.instance_types import instance_types
from cortex_cdk.capacity.pricing import DEFAULT_ZONES, nat_gateways
from cortex_cdk.clusters.hosted_zone import FoundZone
from cortex_cdk.config import Cluster, InstanceGroup
from cortex_cdk.environment import Environment
from cortex_cdk.errors import ClusterError, Finding, PreflightError

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
PARAMETER_OF_IMAGE = "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
MACHINE_IMAGES = "the machine images of the region"
REQUEST_MORE = "ask for more in the Service Quotas console"


@dataclass(frozen=True)
class WantedCluster:
    """A cluster before it is made or changed.

    Attributes:
        cloud: The account that it would be in.
        cluster: What it would be.
        is_new: Whether it would be made, so that its network counts against quotas.
        zone: What was found of the hosted zone of its domain; None without a domain.
    """

    cloud: Cloud
    cluster: Cluster
    is_new: bool
    zone: FoundZone | None = None

    def finding(self, message: str, hint: str | None = None, *, fatal: bool = True) -> Finding:
        """Make a finding about this cluster."""
        return Finding(f"cluster {self.cluster.name}", message, hint, fatal)


def check_account(cloud: Cloud, cluster: Cluster) -> None:
    """Compare the credentials' account with the one that the configuration names, if it names one.

    This comes before every other check, because they would ask the wrong account.

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


def check_identity(cluster: Cluster, environment: Environment) -> None:
    """Compare name and region of a configuration with those of the environment.

    This comes before every other check, because they would look at another cluster.

    Raises:
        PreflightError: They differ.
    """
    found = []
    for field, ours, theirs in (
        ("name", cluster.name, environment.cluster),
        ("region", cluster.region, environment.region),
    ):
        if ours != theirs:
            to_do = f"remove {field} from the file"
            if environment.is_configurable:
                to_do += f", or run: cortex env configure NAME --cluster {cluster.name} --region {cluster.region}"
            found.append(
                Finding(
                    f"cluster {environment.cluster}",
                    f"the file says {field}: {ours}, and environment {environment.name!r} has {theirs}",
                    to_do,
                )
            )
    if found:
        raise PreflightError(f"cluster {environment.cluster} was not changed", found)


def check(wanted: WantedCluster) -> list[Finding]:
    """Ask AWS everything that can be asked about a cluster before it is made or changed."""
    return run_checks(CHECKS, wanted, f"cluster {wanted.cluster.name}")


def _quota(cloud: Cloud, service: str, code: str) -> int:
    return int(cloud.service_quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])


def check_vcpus(wanted: WantedCluster) -> Iterator[Finding]:
    """Compare the instances, the fewest and the most, with the vCPU quotas of their families."""
    fewest: defaultdict[str, int] = defaultdict(int)
    most: defaultdict[str, int] = defaultdict(int)
    types: defaultdict[str, list[str]] = defaultdict(list)
    for group in wanted.cluster.instance_groups:
        code = quota_code(group)
        sizes = [instance_types()[name].vcpus for name in group.instance_types if name in instance_types()]
        if code and sizes:
            fewest[code] += group.min_instances * min(sizes)
            most[code] += group.max_instances * max(sizes)
            types[code].append(" or ".join(group.instance_types))
    for code, vcpus in most.items():
        quota = _quota(wanted.cloud, "ec2", code)
        named = f"{', '.join(dict.fromkeys(types[code]))} (quota {code})"
        if quota == 0 or quota < fewest[code]:
            yield wanted.finding(
                f"the account may have {quota} vCPUs of {named}, and the fewest instances need {fewest[code]}",
                REQUEST_MORE,
                # A group that starts without instances can be made; it just could not grow.
                fatal=quota < fewest[code],
            )
        elif quota < vcpus:
            yield wanted.finding(
                f"the account may have {quota} vCPUs of {named}, and the most instances need {vcpus}",
                REQUEST_MORE,
                fatal=False,
            )


def quota_code(group: InstanceGroup) -> str | None:
    """Name the quota that limits the vCPUs of a group; None where it is not known."""
    letters = re.match("[a-z]+", group.instance_types[0])
    codes = VCPU_QUOTAS.get(letters[0]) if letters else None
    if codes is None:
        return None
    return codes[1] if group.spot and not group.spot.on_demand_base else codes[0]


def check_offerings(wanted: WantedCluster) -> Iterator[Finding]:
    """Look whether the zones of the cluster offer its instance types."""
    cloud, cluster = wanted.cloud, wanted.cluster
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
                yield wanted.finding(
                    f"{name} (group {group.name}) is not offered in {', '.join(zones)}",
                    "choose other zones or types",
                    fatal=not any(there.values()),
                )
            elif len(found) < len(zones):
                yield wanted.finding(f"{name} (group {group.name}) is offered in {', '.join(found)} only", fatal=False)


def check_subnets(wanted: WantedCluster) -> Iterator[Finding]:
    """Look whether the subnets of an existing VPC belong to it, and lie in two zones."""
    cloud, vpc = wanted.cloud, wanted.cluster.vpc
    if vpc.id is None:
        return
    for subnets in (vpc.public_subnets, vpc.private_subnets):
        # A filter, unlike a list of ids, leaves out what does not exist.
        filters: Sequence[FilterTypeDef] = [{"Name": "subnet-id", "Values": list(subnets)}]
        found = cloud.ec2.describe_subnets(Filters=filters)["Subnets"] if subnets else []
        home = {subnet["SubnetId"]: subnet["VpcId"] for subnet in found}
        for subnet in subnets:
            if home.get(subnet) != vpc.id:
                where = f"is in {home[subnet]}" if subnet in home else "does not exist"
                yield wanted.finding(f"{subnet} is not a subnet of {vpc.id}: it {where}")
        zones = {subnet["AvailabilityZone"] for subnet in found}
        if len(found) == len(subnets) and len(zones) == 1:
            yield wanted.finding(f"{', '.join(subnets)} are all in {zones.pop()}; the load balancer needs two zones")


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


def check_certificate(wanted: WantedCluster) -> Iterator[Finding]:
    """Look whether the certificate exists and has been issued."""
    from botocore.exceptions import ClientError

    arn = wanted.cluster.load_balancer.certificate_arn
    if arn is None:
        return
    try:
        status = wanted.cloud.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        yield wanted.finding(f"the certificate {arn} does not exist")
        return
    if status != "ISSUED":
        yield wanted.finding(f"the certificate {arn} cannot be used: its status in ACM is {status}")


def check_zone(wanted: WantedCluster) -> Iterator[Finding]:
    """Say why the hosted zone of the domain cannot be used."""
    if wanted.zone and wanted.zone.problem:
        yield wanted.finding(wanted.zone.problem, wanted.zone.hint)


def check_vpcs(wanted: WantedCluster) -> Iterator[Finding]:
    """Compare the VPCs that there are with their quota, if the cluster would make one."""
    if not wanted.is_new or wanted.cluster.vpc.id:
        return
    pages = wanted.cloud.ec2.get_paginator("describe_vpcs").paginate()
    used = sum(len(page["Vpcs"]) for page in pages)
    yield from _more_than_the_quota(wanted, "VPCs", used, 1, _quota(wanted.cloud, *VPCS))


def check_addresses(wanted: WantedCluster) -> Iterator[Finding]:
    """Compare the Elastic IP addresses that there are with their quota, if the cluster would take some."""
    needed = nat_gateways(wanted.cluster)
    if not wanted.is_new or not needed:
        return
    used = len(wanted.cloud.ec2.describe_addresses()["Addresses"])
    yield from _more_than_the_quota(wanted, "Elastic IP addresses", used, needed, _quota(wanted.cloud, *ADDRESSES))


def _more_than_the_quota(wanted: WantedCluster, what: str, used: int, needed: int, quota: int) -> Iterator[Finding]:
    if used + needed > quota:
        yield wanted.finding(
            f"the region has {used} of {quota} {what}, and the cluster needs {needed} more", REQUEST_MORE
        )


# In the order in which findings are shown.
CHECKS: tuple[Check[WantedCluster], ...] = (
    Check("the vCPU quotas", check_vcpus),
    Check("where the instance types are offered", check_offerings),
    Check("the subnets", check_subnets),
    Check("the certificate", check_certificate),
    Check("the hosted zone", check_zone),
    Check("the quota of VPCs", check_vpcs),
    Check("the quota of Elastic IP addresses", check_addresses),
)


def check_machine_images(cloud: Cloud, cluster: Cluster, template: Mapping[str, Any]) -> list[Finding]:
    """Look whether the region has the machine images that a cluster's template names.

    Args:
        cloud: The account that the cluster would be in.
        cluster: What it would be.
        template: The template of its stack.
    """
    wanted = WantedCluster(cloud, cluster, is_new=False)
    parameters = template.get("Parameters", {}).values()
    images = [one["Default"] for one in parameters if one["Type"].startswith(PARAMETER_OF_IMAGE)]

    def missing(wanted: WantedCluster) -> Iterator[Finding]:
        for name in wanted.cloud.ssm.get_parameters(Names=images).get("InvalidParameters", []) if images else ():
            yield wanted.finding(
                f"{cluster.region} has no machine image for these instances: Systems Manager has no parameter {name}",
                "choose another region, or instance types without that accelerator",
            )

    return run_checks((Check(MACHINE_IMAGES, missing),), wanted, f"cluster {cluster.name}")


CHECKED = (*(check.what for check in CHECKS), MACHINE_IMAGES)
"""What is checked, in words."""
