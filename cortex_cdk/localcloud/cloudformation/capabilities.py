"""Refuses templates with IAM resources that the caller has not agreed to (``Capabilities``)."""

from __future__ import annotations

from collections.abc import Sequence

from moto.cloudformation.exceptions import CloudFormationError

from cortex_cdk.localcloud.cloudformation.template import parse

NAME_PROPERTIES = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}
"""Types that need ``CAPABILITY_IAM``, and the property that makes them need ``CAPABILITY_NAMED_IAM``."""
NAMELESS = ("AWS::IAM::AccessKey", "AWS::IAM::Policy", "AWS::IAM::UserToGroupAddition")
NAMED, UNNAMED = "CAPABILITY_NAMED_IAM", "CAPABILITY_IAM"


class InsufficientCapabilitiesError(CloudFormationError):
    """The template makes IAM resources, and the caller has not agreed."""

    code = "InsufficientCapabilitiesException"


def require(body: str, granted: Sequence[str]) -> None:
    """Refuse a template whose IAM resources the caller has not agreed to.

    Raises:
        InsufficientCapabilitiesError: A capability is missing; the message names it.
    """
    needed = _needed(body)
    if needed and needed not in granted and NAMED not in granted:
        raise InsufficientCapabilitiesError(f"Requires capabilities : [{needed}]")


def _needed(body: str) -> str | None:
    resources = list(parse(body)["Resources"].values())
    iam = [resource for resource in resources if resource["Type"] in (*NAME_PROPERTIES, *NAMELESS)]
    if any(NAME_PROPERTIES.get(resource["Type"], "") in resource.get("Properties", {}) for resource in iam):
        return NAMED
    return UNNAMED if iam else None
