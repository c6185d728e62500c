"""The base class of our stacks: tags, outputs, no bootstrap."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cortex_cdk import names
from cortex_cdk.config.sections.auth import Auth


class CortexStack(cdk.Stack):
    """A stack that any account can deploy without bootstrap and assets, with the tags that we find it by.

    Args:
        stack_name: Name of the stack, and id of the construct.
        description: The template's description.
        tags: Our tags. They are in the template, so that they reach the resources whoever deploys it.
        user_tags: The user's tags. They are on the stack, which passes them on to its resources: forty of them on every
            resource would not fit into a template.
        permissions_boundary: ARN of the policy that bounds the stack's roles, if there is one.
    """

    def __init__(
        self,
        scope: Construct,
        stack_name: str,
        *,
        description: str,
        tags: Mapping[str, str],
        user_tags: Mapping[str, str] | None = None,
        permissions_boundary: str | None = None,
    ) -> None:
        super().__init__(
            scope,
            stack_name,
            description=description,
            synthesizer=cdk.BootstraplessSynthesizer(),
            tags={**(user_tags or {}), **tags},
        )
        for key, value in tags.items():
            cdk.Tags.of(self).add(key, value)
        if permissions_boundary:
            bound = iam.ManagedPolicy.from_managed_policy_arn(self, "PermissionsBoundary", permissions_boundary)
            iam.PermissionsBoundary.of(self).apply(bound)

    def output(self, key: str, value: str, description: str) -> None:
        """Add an output with exactly this key."""
        cdk.CfnOutput(self, f"Output{key}", value=value, description=description).override_logical_id(key)

    def output_auth(self, auth: Auth) -> None:
        """Add an output that says who may send requests, unless everybody may."""
        if auth.kind != "none":
            self.output(names.Output.AUTH, auth.identity, "Who may send requests")


def tags_of(cluster: str, kind: str, name: str | None = None) -> dict[str, str]:
    """Return the tags of a stack.

    Args:
        cluster: The cluster's name.
        kind: ``names.CLUSTER_KIND``, or the kind of the API or splitter.
        name: The API's or splitter's name; None for the cluster's own stack.
    """
    tags = {names.TAG_CLUSTER: cluster, names.TAG_KIND: kind}
    return {**tags, names.TAG_API: name} if name else tags
