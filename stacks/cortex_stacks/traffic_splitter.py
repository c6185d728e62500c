"""The stack of one traffic splitter: a listener rule that shares requests out to the target groups of APIs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cortex_cdk.names import Output
from cortex_cdk.synthesis.specs import SplitterStackSpec
from cortex_stacks.constructs.cortex_stack import CortexStack, tags_of
from cortex_stacks.constructs.routing import endpoint_rule


class TrafficSplitterStack(CortexStack):
    """One weighted listener rule. A change of weights changes this rule and nothing else.

    Args:
        spec: The splitter, and the resources that the template is made from.
    """

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
            auth=splitter.networking.auth,
        )
        self.output(Output.ENDPOINT, splitter.networking.endpoint, "Path on the cluster's load balancer")
        self.output(Output.LISTENER_RULE_PRIORITY, str(spec.priority), "Priority of the listener rule")
        self.output_auth(splitter.networking.auth)
        self.output(Output.SPEC_DIGEST, spec.digest, "Digest of everything that this template was made from")

    def _imported(self, index: int, arn: str) -> elb.IApplicationTargetGroup:
        """Import a target group by its ARN: a construct of another stack would make the stacks depend on each other."""
        group = elb.ApplicationTargetGroup.from_target_group_attributes(self, f"Variant{index}", target_group_arn=arn)
        # The CDK wants a listener for the group; the API's own stack has it.
        cdk.Annotations.of(group).acknowledge_warning("@aws-cdk/aws-elbv2:albTargetGroupCannotRegisterListener")
        return group
