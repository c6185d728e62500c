"""What all our stacks have in common."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import Construct

from cortex_cdk import names


class CortexStack(cdk.Stack):
    """A stack that any account can deploy as it is (no bootstrap, no assets), tagged so that it can be found again.

    Args:
        tags: Ours; they are in the template, so they reach the resources whoever deploys it.
        user_tags: The user's; they go with the stack, which hands them on to its resources, because forty of them on
            every resource would not fit into a template.
    """

    def __init__(
        self,
        scope: Construct,
        stack_name: str,
        *,
        description: str,
        tags: Mapping[str, str],
        user_tags: Mapping[str, str] | None = None,
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

    def output(self, key: str, value: str, description: str) -> None:
        """Publish a value under exactly that output key."""
        cdk.CfnOutput(self, f"Output{key}", value=value, description=description).override_logical_id(key)


def tags_of(cluster: str, kind: str, name: str | None = None) -> dict[str, str]:
    """The tags of a stack of this cluster; ``name`` is that of an API or splitter."""
    tags = {names.TAG_CLUSTER: cluster, names.TAG_KIND: kind}
    return {**tags, names.TAG_API: name} if name else tags
