"""The stack of one traffic splitter: a listener rule that shares requests out to the APIs' own target groups."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cortex_cdk.synthesis.specs import SplitterStackSpec
from cortex_stacks.constructs.cortex_stack import CortexStack, tags_of
from cortex_stacks.constructs.routing import endpoint_rule


class TrafficSplitterStack(CortexStack):
    """One weighted listener rule. Changing weights changes this rule and nothing else."""

    def __init__(self, scope: Construct, spec: SplitterStackSpec) -> None:
        cluster, splitter = spec.cluster, spec.splitter
        super().__init__(
            scope,
            spec.stack_name,
            description=f"Cortex traffic splitter {splitter.name} in cluster {cluster.cluster}",
            tags=tags_of(cluster.cluster, splitter.kind, splitter.name),
            user_tags=cluster.tags,
        )
        endpoint_rule(
            self,
            cluster=cluster,
            endpoint=splitter.networking.endpoint,
            priority=spec.priority,
            action=elb.ListenerAction.weighted_forward(
                [
                    elb.WeightedTargetGroup(
                        target_group=self._imported(index, spec.target_groups[variant.name]), weight=variant.weight
                    )
                    for index, variant in enumerate(splitter.apis)
                ]
            ),
        )
        self.output("Endpoint", splitter.networking.endpoint, "Path on the cluster's load balancer")
        self.output("ListenerRulePriority", str(spec.priority), "Priority of the listener rule")
        self.output("SpecDigest", spec.digest, "Digest of all that this template was made from")

    def _imported(self, index: int, arn: str) -> elb.IApplicationTargetGroup:
        """A target group by its ARN: handing over the construct of another stack would make a cycle of dependencies."""
        group = elb.ApplicationTargetGroup.from_target_group_attributes(self, f"Variant{index}", target_group_arn=arn)
        # No listener of this app carries it, and none has to.
        cdk.Annotations.of(group).acknowledge_warning("@aws-cdk/aws-elbv2:albTargetGroupCannotRegisterListener")
        return group
