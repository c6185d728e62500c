"""What CloudFormation does in the name of whoever deploys, for each type of resource in our stacks, as permissions.

Actions: the ``handlers`` of AWS's schemas of the types ("Resource type schema", CloudFormation User Guide), without
those of properties that our templates do not use. Everything that can be tagged has the tag of its cluster, so that
what is there already can be told from what others have. The actions that make things know no tag yet: they are bound to
the region and the account.
"""

from __future__ import annotations

from collections.abc import Mapping

from cortex_cdk import names
from cortex_cdk.aws.permissions.calls import (
    BUCKET,
    BUILDER,
    CERTIFICATES,
    ECS_CLUSTER,
    GROUPS,
    HOSTED_ZONES,
    LOGS,
    PROVIDERS,
    REPOSITORY,
    SCALABLE_TARGETS,
    SERVICES,
)
from cortex_cdk.aws.permissions.grant import ANYTHING, CLUSTER, GENERATED, Grant, Scope, arn
from cortex_cdk.aws.permissions.network_types import DESCRIBE, NETWORK_TYPES, of_clusters

_ECS = names.ecs_cluster(CLUSTER)

LAUNCH = Scope("Launch", (arn("ec2", "*"), arn("ec2", "image/*", account=""), arn("ec2", "snapshot/*", account="")))
TASK_DEFINITIONS = Scope("TaskDefinitions", (arn("ecs", f"task-definition/{names.task_family(CLUSTER, '*')}"),))
ALARMS = Scope(
    "Alarms",
    (
        arn("cloudwatch", f"alarm:cortex/{CLUSTER}/*"),
        # Application Auto Scaling makes the alarms of its policies, and asks whether the caller might.
        arn("cloudwatch", f"alarm:TargetTracking-service/{_ECS}/*"),
    ),
)
DASHBOARD = Scope("Dashboard", (arn("cloudwatch", f"dashboard/{names.dashboard(CLUSTER)}", region=""),))
ROLES = Scope("Roles", (arn("iam", f"role/{GENERATED}*", region=""),))
PASSED_ROLES = Scope(
    "PassRoles",
    ROLES.arns,
    {
        "StringEquals": {
            "iam:PassedToService": ["codebuild.amazonaws.com", "ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]
        }
    },
)
INSTANCE_PROFILES = Scope("InstanceProfiles", (arn("iam", f"instance-profile/{GENERATED}*", region=""),))
SERVICE_ROLES = Scope(
    "ServiceLinkedRoles",
    (arn("iam", "role/aws-service-role/*", region=""),),
    {
        "StringEquals": {
            "iam:AWSServiceName": [
                "autoscaling.amazonaws.com",
                "ecs.amazonaws.com",
                "ecs.application-autoscaling.amazonaws.com",
                "elasticloadbalancing.amazonaws.com",
            ]
        }
    },
)

_LINKED = Grant(
    "the first use of a service in an account makes its role", ("iam:CreateServiceLinkedRole",), SERVICE_ROLES
)
_PASS = Grant("instances, tasks and builds get their roles", ("iam:PassRole",), PASSED_ROLES)


RESOURCE_TYPES: Mapping[str, tuple[Grant, ...]] = {
    **NETWORK_TYPES,
    "AWS::ApplicationAutoScaling::ScalableTarget": (
        Grant(
            "scaling of the replicas",
            (
                "application-autoscaling:RegisterScalableTarget",
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:TagResource",
                "application-autoscaling:UntagResource",
                "application-autoscaling:ListTagsForResource",
            ),
            SCALABLE_TARGETS,
        ),
        Grant(
            DESCRIBE,
            ("application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScheduledActions"),
            ANYTHING,
        ),
        _LINKED,
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": (
        Grant(
            "scaling of the replicas",
            ("application-autoscaling:PutScalingPolicy", "application-autoscaling:DeleteScalingPolicy"),
            SCALABLE_TARGETS,
        ),
        Grant(
            DESCRIBE,
            (
                "application-autoscaling:DescribeScalingPolicies",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
            ),
            ANYTHING,
        ),
        Grant("alarms of the scaling", ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"), ALARMS),
    ),
    "AWS::AutoScaling::AutoScalingGroup": of_clusters(
        Grant(
            "instance groups",
            (
                "autoscaling:CreateAutoScalingGroup",
                "autoscaling:CreateOrUpdateTags",
                "autoscaling:DeleteAutoScalingGroup",
                "autoscaling:DeleteTags",
                "autoscaling:UpdateAutoScalingGroup",
            ),
            GROUPS,
        ),
        Grant(
            DESCRIBE,
            (
                "autoscaling:Describe*",
                "ec2:DescribeImages",
                "ec2:DescribeInstances",
                "ec2:DescribeLaunchTemplateVersions",
            ),
            ANYTHING,
        ),
        Grant("Auto Scaling asks whether the caller might launch the instances", ("ec2:RunInstances",), LAUNCH),
        _PASS,
        _LINKED,
    ),
    "AWS::CloudWatch::Alarm": (
        Grant(
            "alarms",
            (
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:DeleteAlarms",
                "cloudwatch:TagResource",
                "cloudwatch:UntagResource",
                "cloudwatch:ListTagsForResource",
            ),
            ALARMS,
        ),
        Grant(DESCRIBE, ("cloudwatch:DescribeAlarms",), ANYTHING),
    ),
    "AWS::CloudWatch::Dashboard": of_clusters(
        Grant(
            "the dashboard",
            (
                "cloudwatch:PutDashboard",
                "cloudwatch:GetDashboard",
                "cloudwatch:DeleteDashboards",
                "cloudwatch:TagResource",
                "cloudwatch:UntagResource",
                "cloudwatch:ListTagsForResource",
            ),
            DASHBOARD,
        )
    ),
    "AWS::CodeBuild::Project": of_clusters(
        Grant(
            "the image builder",
            (
                "codebuild:CreateProject",
                "codebuild:UpdateProject",
                "codebuild:DeleteProject",
                "codebuild:BatchGetProjects",
            ),
            BUILDER,
        ),
        _PASS,
    ),
    "AWS::ECR::Repository": of_clusters(
        Grant(
            "the repository of images",
            (
                "ecr:CreateRepository",
                "ecr:DeleteRepository",
                "ecr:DescribeRepositories",
                "ecr:GetLifecyclePolicy",
                "ecr:GetRepositoryPolicy",
                "ecr:ListTagsForResource",
                "ecr:PutImageScanningConfiguration",
                "ecr:PutImageTagMutability",
                "ecr:TagResource",
                "ecr:UntagResource",
                # `EmptyOnDelete`
                "ecr:BatchDeleteImage",
                "ecr:ListImages",
            ),
            REPOSITORY,
        )
    ),
    "AWS::ECS::CapacityProvider": of_clusters(
        Grant("instance groups", ("ecs:CreateCapacityProvider",), Scope("MakeCapacityProviders", ("*",))),
        Grant(
            "instance groups",
            (
                "ecs:UpdateCapacityProvider",
                "ecs:DeleteCapacityProvider",
                "ecs:DescribeCapacityProviders",
                "ecs:ListTagsForResource",
                "ecs:TagResource",
                "ecs:UntagResource",
            ),
            PROVIDERS,
        ),
        Grant("ECS marks the groups that it scales", ("autoscaling:CreateOrUpdateTags",), GROUPS),
        _LINKED,
    ),
    "AWS::ECS::Cluster": of_clusters(
        Grant("the ECS cluster", ("ecs:CreateCluster",), Scope("MakeEcsCluster", ("*",))),
        Grant(
            "the ECS cluster",
            (
                "ecs:DeleteCluster",
                "ecs:DescribeClusters",
                "ecs:ListTagsForResource",
                "ecs:TagResource",
                "ecs:UntagResource",
                "ecs:UpdateCluster",
                "ecs:UpdateClusterSettings",
            ),
            ECS_CLUSTER,
        ),
        _LINKED,
    ),
    "AWS::ECS::ClusterCapacityProviderAssociations": of_clusters(
        Grant(
            "the groups of the ECS cluster", ("ecs:DescribeClusters", "ecs:PutClusterCapacityProviders"), ECS_CLUSTER
        ),
        Grant("the groups of the ECS cluster", ("ecs:DescribeCapacityProviders",), PROVIDERS),
    ),
    "AWS::ECS::Service": (
        Grant(
            "the service of an API",
            (
                "ecs:CreateService",
                "ecs:UpdateService",
                "ecs:DeleteService",
                "ecs:DescribeServices",
                "ecs:DescribeServiceDeployments",
                "ecs:ListServiceDeployments",
                "ecs:ListTagsForResource",
                "ecs:StopServiceDeployment",
                "ecs:TagResource",
                "ecs:UntagResource",
            ),
            SERVICES,
        ),
        _PASS,
        _LINKED,
    ),
    "AWS::ECS::TaskDefinition": (
        Grant(
            "the task definition of an API",
            ("ecs:ListTagsForResource", "ecs:TagResource", "ecs:UntagResource"),
            TASK_DEFINITIONS,
        ),
        Grant(
            "the task definition of an API",
            ("ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"),
            Scope("MakeTaskDefinitions", ("*",)),
        ),
        Grant(DESCRIBE, ("ecs:DescribeTaskDefinition",), ANYTHING),
        _PASS,
    ),
    "AWS::IAM::InstanceProfile": of_clusters(
        Grant(
            "the profile that gives instances their role",
            (
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:GetInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
            ),
            INSTANCE_PROFILES,
        ),
        _PASS,
    ),
    "AWS::IAM::Policy": (
        Grant("what roles may do", ("iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy"), ROLES),
    ),
    "AWS::IAM::Role": (
        Grant(
            "roles of instances, builds and replicas",
            (
                "iam:AttachRolePolicy",
                "iam:CreateRole",
                "iam:DeleteRole",
                "iam:DeleteRolePermissionsBoundary",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "iam:PutRolePolicy",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:UpdateRole",
                "iam:UpdateRoleDescription",
            ),
            ROLES,
        ),
    ),
    "AWS::Logs::LogGroup": (
        Grant(
            "log groups of replicas and builds",
            (
                "logs:CreateLogGroup",
                "logs:DeleteLogGroup",
                "logs:DeleteRetentionPolicy",
                "logs:GetDataProtectionPolicy",
                "logs:ListTagsForResource",
                "logs:PutRetentionPolicy",
                "logs:TagResource",
                "logs:UntagResource",
            ),
            LOGS,
        ),
        Grant(DESCRIBE, ("logs:DescribeIndexPolicies", "logs:DescribeLogGroups"), ANYTHING),
    ),
    "AWS::CertificateManager::Certificate": of_clusters(
        Grant(
            "the certificate of the domain",
            (
                "acm:AddTagsToCertificate",
                "acm:DeleteCertificate",
                "acm:DescribeCertificate",
                "acm:ListTagsForCertificate",
                "acm:RemoveTagsFromCertificate",
                "acm:RequestCertificate",
            ),
            CERTIFICATES,
        )
    ),
    "AWS::Route53::RecordSet": of_clusters(
        Grant(
            "the records of the domain",
            ("route53:ChangeResourceRecordSets", "route53:GetHostedZone", "route53:ListResourceRecordSets"),
            HOSTED_ZONES,
        ),
        Grant(DESCRIBE, ("route53:GetChange", "route53:ListHostedZonesByName"), ANYTHING),
    ),
    "AWS::S3::Bucket": of_clusters(
        Grant(
            "the bucket of projects",
            (
                "s3:CreateBucket",
                "s3:DeleteBucket",
                "s3:GetBucket*",
                "s3:GetAccelerateConfiguration",
                "s3:GetAnalyticsConfiguration",
                "s3:GetEncryptionConfiguration",
                "s3:GetIntelligentTieringConfiguration",
                "s3:GetInventoryConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:GetMetricsConfiguration",
                "s3:GetReplicationConfiguration",
                "s3:ListBucket",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutBucketTagging",
                "s3:PutBucketVersioning",
                "s3:PutEncryptionConfiguration",
                "s3:PutLifecycleConfiguration",
            ),
            BUCKET,
        )
    ),
    "AWS::S3::BucketPolicy": of_clusters(
        Grant("the bucket of projects", ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"), BUCKET)
    ),
}
