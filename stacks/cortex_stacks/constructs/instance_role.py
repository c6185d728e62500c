"""The role of a cluster's instances: what the ECS agent and Session Manager need, and nothing else."""

from __future__ import annotations

from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from cortex_stacks.constructs.permissions import acknowledge_wildcard, allow

# AmazonSSMManagedInstanceCore would allow every parameter of the account to be read, such as those with secrets.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
SESSION_MANAGER = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]


def instance_role(scope: Construct, cluster: ecs.Cluster, *, spot: bool) -> iam.IRole:
    """Make the role. Nothing can be added to the returned one.

    The CDK would add what instances without execution roles need: logs of everybody, and the login of ECR.

    Args:
        cluster: The instances' cluster.
        spot: Whether instances may be interrupted.
    """
    role = iam.Role(scope, "InstanceRole", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    own_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/instance_IAM_role.html
    allow(
        role,
        [
            "ecs:DeregisterContainerInstance",
            "ecs:RegisterContainerInstance",
            "ecs:SubmitAttachmentStateChanges",
            "ecs:SubmitContainerStateChange",
            "ecs:SubmitTaskStateChange",
        ],
        [cluster.cluster_arn],
    )
    of_cluster = ["ecs:Poll", "ecs:StartTelemetrySession"]
    if spot:
        # The agent drains an interrupted instance with the instance's role (ECS_ENABLE_SPOT_INSTANCE_DRAINING).
        of_cluster.append("ecs:UpdateContainerInstancesState")
    allow(role, of_cluster, ["*"], conditions=own_cluster)
    allow(role, ["ecs:DiscoverPollEndpoint", *SESSION_MANAGER], ["*"])
    acknowledge_wildcard(role, "*", "these actions take no resource, or are bound by a condition")
    return role.without_policy_updates()
