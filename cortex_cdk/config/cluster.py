"""``cluster.yaml``: the network, load balancer and instances that all APIs of a cluster share."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cortex_cdk import names
from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.model import Allowed, Conflict, Section, Shown, Whole
from cortex_cdk.config.sections.domain import domain_rules, is_zone_id, parse_domain, parse_zone
from cortex_cdk.config.sections.instance_group import InstanceGroup, Volume

# Days for which CloudWatch Logs can keep logs (PutRetentionPolicy).
LOG_RETENTIONS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)

# "cortex-<name>" is the name of the load balancer, which has at most 32 characters. "-api-" and "-split-" separate the
# cluster's name from that of an API or splitter in the names of stacks, which have no other characters than these.
NAME = re.compile(r"(?!.*-(api|split)(-|$))[a-z]([-a-z0-9]{0,22}[a-z0-9])?")
NAME_IN_WORDS = (
    "1 to 24 characters from a-z 0-9 -, starting with a letter and not ending with -, "
    "without -api or -split before another - or at the end"
)
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}[a-z]")
_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:([a-z0-9-]+):[0-9]{12}:certificate/[A-Za-z0-9-]+")
# CloudWatch cannot send to FIFO topics (PutMetricAlarm, AlarmActions).
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}")
_POLICY = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/[A-Za-z0-9_+=,.@/-]{1,512}")
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_EVERYBODY = ("0.0.0.0/0", "::/0")
_MOST_TAGS = 40  # AWS allows 50 on a resource; CloudFormation and this program add their own.


def _matching(pattern: re.Pattern[str]) -> BeforeValidator:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"does not match {pattern.pattern}")
        return value

    return BeforeValidator(check)


def _account(value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError("not an account")
    return text


def _network(value: Any) -> str:
    if not isinstance(value, str) or "/" not in value:
        raise ValueError("not a network")
    return str(ipaddress.ip_network(value))


def _vpc_network(value: Any) -> str:
    network = ipaddress.ip_network(_network(value))
    if network.version != 4 or not 16 <= network.prefixlen <= 24:
        raise ValueError("not the network of a VPC")
    return str(network)


def _retention(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in LOG_RETENTIONS:
        raise ValueError("not a retention")
    return value


def _tag_name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or value.lower().startswith(("aws:", names.TAG_PREFIX)):
        raise ValueError("not the name of a tag")
    return value


def _tag_value(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 256:
        raise ValueError("not the value of a tag")
    return value


Subnets = tuple[
    Annotated[str, _matching(_SUBNET), Allowed("the id of a subnet, such as subnet-0123456789abcdef0")], ...
]


class Vpc(Section):
    """The network: a new VPC, or an existing one.

    An existing VPC needs ``public_subnets`` (unless ``subnet_visibility`` is private and the load balancer internal),
    and ``private_subnets`` if ``subnet_visibility`` is private. ``availability_zones`` and ``nat_gateway`` are for new
    VPCs.
    """

    cidr: Annotated[
        str, BeforeValidator(_vpc_network), Allowed("an IPv4 network from /16 to /24, such as 10.0.0.0/16")
    ] = Field("192.168.0.0/16", description="Addresses of a new VPC.")
    id: Annotated[str, _matching(_VPC), Allowed("the id of a VPC, such as vpc-0123456789abcdef0")] | None = Field(
        None, description="Existing VPC to use. Its subnets must be named too."
    )
    public_subnets: Subnets = Field(
        (), description="Public subnets of the existing VPC, in two or more availability zones."
    )
    private_subnets: Subnets = Field((), description="Private subnets of the existing VPC, with a route out (NAT).")

    def rules(self) -> Iterator[Conflict]:
        for name in ("public_subnets", "private_subnets"):
            subnets = getattr(self, name)
            if subnets and self.id is None:
                yield Conflict(((name,), ("id",)), "needs id: a new VPC gets new subnets")
            elif subnets and (len(subnets) < 2 or len(set(subnets)) < len(subnets)):
                yield Conflict(((name,),), "must name two or more different subnets, each in another availability zone")
        if self.id is not None and "cidr" in self.model_fields_set and self.cidr != _DEFAULT_CIDR:
            yield Conflict((("cidr",), ("id",)), "is for a new VPC; an existing VPC has its addresses", "remove cidr")


_DEFAULT_CIDR: str = Vpc.model_fields["cidr"].default


class LoadBalancer(Section):
    """The load balancer in front of all APIs of the cluster."""

    scheme: Literal["internet-facing", "internal"] = Field(
        "internet-facing", description="Reachable from the internet, or only from inside the VPC."
    )
    certificate_arn: Annotated[
        Annotated[str, _matching(_CERTIFICATE), Allowed("the ARN of a certificate in ACM")] | None, Shown("HTTP only")
    ] = Field(None, description="Certificate for HTTPS. Plain HTTP is then redirected to HTTPS.")
    allowed_cidrs: tuple[
        Annotated[str, BeforeValidator(_network), Allowed("a network such as 203.0.113.0/24 or 2001:db8::/32")], ...
    ] = Field(("0.0.0.0/0",), description="Networks whose requests are let in.")

    @property
    def is_public(self) -> bool:
        """Whether everybody on the internet is let in."""
        return self.scheme == "internet-facing" and any(network in self.allowed_cidrs for network in _EVERYBODY)

    def rules(self) -> Iterator[Conflict]:
        if not self.allowed_cidrs:
            yield Conflict((("allowed_cidrs",),), "must have at least one network: nobody could reach the APIs")


def _default_nat(data: dict[str, Any]) -> Literal["none", "single", "highly_available"]:
    vpc = data.get("vpc")
    new = isinstance(vpc, Vpc) and vpc.id is None
    return "single" if new and data.get("subnet_visibility") == "private" else "none"


def _default_groups() -> tuple[InstanceGroup, ...]:
    return (
        # A type that new accounts on the free plan may start, too, and m6i.large is none: eks-workshop-v2 issue 1644,
        # karpenter issue 9004.
        InstanceGroup(name="cpu", instance_types=("m7i-flex.large",), min_instances=1, max_instances=5),
        # Images with CUDA are large.
        InstanceGroup(
            name="gpu", instance_types=("g4dn.xlarge",), min_instances=0, max_instances=5, volume=Volume(size=100)
        ),
    )


class Cluster(Section):
    """A VPC, a load balancer and instance groups, in one region of one account."""

    name: Annotated[
        str,
        _matching(NAME),
        Allowed(NAME_IN_WORDS),
    ] = Field(names.DEFAULT_CLUSTER, description="Name of the cluster, unique in the region.")
    region: Annotated[str, _matching(REGION), Allowed("an AWS region such as us-east-1")] = Field(
        names.DEFAULT_REGION, description="AWS region."
    )
    account: Annotated[str, BeforeValidator(_account), Allowed("an account number: 12 digits in quotes")] | None = (
        Field(None, description="Account of the cluster. Commands refuse credentials of any other account.")
    )
    vpc: Vpc = Field(default_factory=Vpc, description="The network.")
    availability_zones: Annotated[
        tuple[Annotated[str, _matching(_ZONE), Allowed("an availability zone such as us-east-1a")], ...],
        Shown("the first two of the region"),
    ] = Field((), description="Availability zones of a new VPC, two or more.")
    subnet_visibility: Literal["public", "private"] = Field(
        "public",
        description="Subnets of the instances. Private instances have no public address and reach out through NAT.",
    )
    nat_gateway: Annotated[
        Literal["none", "single", "highly_available"], Shown("none; single with private subnets of a new VPC")
    ] = Field(default_factory=_default_nat, description="NAT gateways: none, one, or one in each zone.")
    load_balancer: LoadBalancer = Field(
        default_factory=LoadBalancer, description="The load balancer in front of all APIs."
    )
    domain: Annotated[
        Annotated[str, BeforeValidator(parse_domain), Allowed("a domain such as api.example.com")] | None,
        Shown("the load balancer's own name"),
    ] = Field(
        None,
        description="Domain of the APIs, with `hosted_zone`. The cluster gets a certificate for it and the record that "
        "leads to the load balancer, and plain HTTP is redirected to HTTPS. See [domain](domain.md).",
    )
    hosted_zone: Annotated[
        Annotated[str, BeforeValidator(parse_zone), Allowed("the name or the id of a hosted zone of Route 53")] | None,
        Shown("none"),
    ] = Field(None, description="Public hosted zone of Route 53 in which `domain` lies.")
    tags: Annotated[
        dict[Annotated[str, BeforeValidator(_tag_name)], Annotated[str, BeforeValidator(_tag_value)]],
        Allowed("text of at most 256 characters, under a name of at most 128 that does not start with aws: or cortex:"),
    ] = Field({}, description="Tags of all resources.")
    log_retention: Annotated[
        Whole, BeforeValidator(_retention), Allowed(f"one of {', '.join(map(str, LOG_RETENTIONS))} (days)")
    ] = Field(30, description="Days for which logs are kept.")
    alarm_topic: Annotated[
        Annotated[str, _matching(_TOPIC), Allowed("the ARN of a standard SNS topic")] | None, Shown("none")
    ] = Field(None, description="SNS topic that is told when an alarm goes off and when the alarm ends.")
    permissions_boundary: Annotated[
        Annotated[str, _matching(_POLICY), Allowed("the ARN of an IAM policy")] | None, Shown("none")
    ] = Field(
        None,
        description="Policy that bounds what every role of the cluster and its APIs may do (IAM permissions boundary).",
    )
    cloudformation_role: Annotated[
        Annotated[str, _matching(_ROLE), Allowed("the ARN of an IAM role")] | None, Shown("that of who deploys")
    ] = Field(
        None,
        description="Role that CloudFormation takes to make, change and delete resources, instead of the permissions "
        "of whoever deploys.",
    )
    instance_groups: Annotated[tuple[InstanceGroup, ...], Shown("one CPU and one GPU group")] = Field(
        default_factory=_default_groups, description="Instances that replicas run on."
    )

    @classmethod
    def default(cls, name: str = names.DEFAULT_CLUSTER, region: str = names.DEFAULT_REGION) -> Cluster:
        """Return a cluster with a CPU group and a GPU group; the GPU group is empty until a replica needs a GPU."""
        return cls(name=name, region=region)

    @property
    def is_tls(self) -> bool:
        """Whether the endpoints are https."""
        return self.domain is not None or self.load_balancer.certificate_arn is not None

    @property
    def hosted_zone_id(self) -> str | None:
        """The hosted zone, where the configuration gives an id; None where it gives a name."""
        return self.hosted_zone if self.hosted_zone and is_zone_id(self.hosted_zone) else None

    def rules(self) -> Iterator[Conflict]:
        yield from self._network_rules()
        yield from domain_rules(self.domain, self.hosted_zone, self.load_balancer.certificate_arn)
        zones = self.availability_zones
        if zones and (len(zones) < 2 or len(set(zones)) < len(zones)):
            yield Conflict(
                (("availability_zones",),), "must name two or more different zones: a load balancer needs two"
            )
        for index, zone in enumerate(zones):
            if zone[:-1] != self.region:
                yield Conflict((("availability_zones", index), ("region",)), f"{zone} is not in {self.region}")
        yield from self._region_rules()
        yield from self._account_rules()
        if len(self.tags) > _MOST_TAGS:
            yield Conflict((("tags",),), f"must be at most {_MOST_TAGS}, not {len(self.tags)}")
        if not self.instance_groups:
            yield Conflict((("instance_groups",),), "must have at least one group")
        counts: Counter[str] = Counter()
        for index, group in enumerate(self.instance_groups):
            counts[group.name] += 1
            if counts[group.name] == 2:
                yield Conflict((("instance_groups", index, "name"),), f"there is another group named {group.name}")

    def _region_rules(self) -> Iterator[Conflict]:
        """Refuse a certificate or topic of another region: AWS cannot use one across regions."""
        certificate = _CERTIFICATE.fullmatch(self.load_balancer.certificate_arn or "")
        topic = _TOPIC.fullmatch(self.alarm_topic or "")
        elsewhere: tuple[tuple[str, FieldPath, re.Match[str] | None], ...] = (
            ("certificate", ("load_balancer", "certificate_arn"), certificate),
            ("topic", ("alarm_topic",), topic),
        )
        for what, field, arn in elsewhere:
            if arn and arn[1] != self.region:
                yield Conflict((field, ("region",)), f"the {what} is in {arn[1]}, and the cluster in {self.region}")

    def _account_rules(self) -> Iterator[Conflict]:
        """Refuse a policy or role of another account: neither works across accounts."""
        elsewhere: tuple[tuple[str, str, re.Match[str] | None], ...] = (
            ("policy", "permissions_boundary", _POLICY.fullmatch(self.permissions_boundary or "")),
            ("role", "cloudformation_role", _ROLE.fullmatch(self.cloudformation_role or "")),
        )
        for what, field, arn in elsewhere:
            if arn and self.account and arn[1] not in (self.account, "aws"):
                yield Conflict(
                    ((field,), ("account",)), f"the {what} is in {arn[1]}, and the cluster in {self.account}"
                )

    def _network_rules(self) -> Iterator[Conflict]:
        private = self.subnet_visibility == "private"
        if self.vpc.id is None:
            if private and self.nat_gateway == "none":
                yield Conflict(
                    (("nat_gateway",), ("subnet_visibility",)),
                    "private subnets need a NAT gateway to reach AWS",
                    "use single or highly_available",
                )
            elif self.nat_gateway != "none" and not private:
                yield Conflict(
                    (("nat_gateway",), ("subnet_visibility",)),
                    "is for private subnets: instances in public subnets would not use the gateway that you pay for",
                    "remove nat_gateway, or use subnet_visibility: private",
                )
            return
        if self.nat_gateway != "none":
            yield Conflict(
                (("nat_gateway",), ("vpc", "id")),
                "is for a new VPC; an existing VPC has its own route out",
                "remove nat_gateway",
            )
        if self.availability_zones:
            yield Conflict(
                (("availability_zones",), ("vpc", "id")),
                "are for a new VPC; the subnets of an existing VPC have their zones",
                "remove availability_zones",
            )
        fields: tuple[FieldPath, ...] = (
            ("vpc", "id"),
            ("subnet_visibility",),
            ("vpc", "public_subnets"),
            ("vpc", "private_subnets"),
        )
        if private and not self.vpc.private_subnets:
            yield Conflict(fields, "needs private_subnets, because subnet_visibility is private")
        internal = self.load_balancer.scheme == "internal"
        if not self.vpc.public_subnets and not (private and internal):
            yield Conflict(
                fields, "needs public_subnets, unless subnet_visibility is private and the load balancer internal"
            )
