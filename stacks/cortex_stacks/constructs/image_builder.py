"""Builds and keeps images, so that nobody needs Docker: a CodeBuild project and an ECR repository."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct
from cortex_serving import contract

from cortex_cdk import names
from cortex_stacks.constructs.permissions import acknowledge, acknowledge_wildcard, allow

BUILD_TIMEOUT_MIN = 60
LOG_RETENTION = logs.RetentionDays.ONE_MONTH
_REPOSITORY, _TAG = contract.IMAGE_REPOSITORY_VARIABLE, contract.IMAGE_TAG_VARIABLE
_IMAGE, _OPTIONS = f"${_REPOSITORY}:${_TAG}", contract.IMAGE_OPTIONS_VARIABLE
# Base images come from ECR Public, which lets those who are logged in pull ten times as often (its service quotas). It
# knows one region, and no account of another partition (China): then without.
# https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html
PUBLIC_LOGIN = (
    "aws ecr-public get-login-password --region us-east-1 | docker login --username AWS --password-stdin public.ecr.aws"
)
# The request to build brings the build context (a zip with a Dockerfile), the tag, the repository and options (which
# images may serve as a cache). An image describes its layers (inline cache), so that it can be such a cache.
# The push belongs to the same phase: CodeBuild runs a later phase even if this one failed.
BUILD_SPEC: dict[str, Any] = {
    "version": "0.2",
    "env": {"variables": {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", _OPTIONS: ""}},
    "phases": {
        "build": {
            "on-failure": "ABORT",
            "commands": [
                f'aws ecr get-login-password | docker login --username AWS --password-stdin "${{{_REPOSITORY}%%/*}}"',
                f'{PUBLIC_LOGIN} || echo "base images are pulled without a login"',
                f'docker build --build-arg BUILDKIT_INLINE_CACHE=1 ${_OPTIONS} --tag "{_IMAGE}" .',
                f'docker push "{_IMAGE}"',
            ],
        }
    },
}


class ImageBuilder(Construct):
    """Image repository and builder of a cluster.

    Args:
        cluster: The cluster's name.
        bucket: The bucket that build contexts are uploaded to.

    Attributes:
        repository: The repository. Tags are hashes of the image's content, so a tag never moves.
        project: The CodeBuild project. A build's source is named when the build starts.
    """

    def __init__(self, scope: Construct, id: str, *, cluster: str, bucket: s3.Bucket) -> None:
        super().__init__(scope, id)
        self.repository = self._repository(cluster)
        role = iam.Role(self, "Role", assumed_by=_builder(self, cluster))
        self.project = self._project(cluster, role)
        contexts = bucket.arn_for_objects(f"{names.BUILD_CONTEXT_PREFIX}*")
        allow(role, ["s3:GetObject", "s3:GetObjectVersion"], [contexts], because="every build has a context of its own")
        # A push looks for layers that are there, and builds take them from images ("Pushing an image", ECR user guide).
        self.repository.grant_pull_push(role)
        acknowledge_wildcard(role, "*", "ecr:GetAuthorizationToken takes no resource")
        allow(role, ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"], ["*"])
        # Not CreateLogGroup: a build that outlives its cluster would make the group again, which would then stand in
        # the way of the next cluster of that name.
        group = f"{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:log-group:{names.image_builder_log_group(cluster)}"
        allow(
            role,
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [f"arn:{cdk.Aws.PARTITION}:logs:{group}:*"],
            because="the streams of its own log group",
        )

    def _repository(self, cluster: str) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Repository",
            repository_name=names.repository(cluster),
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            # No lifecycle rules: ECR does not know which images are deployed. cortex_cdk.deploy.image_cleanup does.
            image_scan_on_push=True,
            # Every image can be built again from its project.
            empty_on_delete=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )

    def _project(self, cluster: str, role: iam.Role) -> codebuild.Project:
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=names.image_builder_log_group(cluster),
            retention=LOG_RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        project = codebuild.Project(
            self,
            "Project",
            project_name=names.image_builder(cluster),
            description=f"Builds the images of Cortex cluster {cluster}",
            # The construct would let the role make log groups.
            role=role.without_policy_updates(),
            build_spec=codebuild.BuildSpec.from_object(BUILD_SPEC),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.AMAZON_LINUX_2023_5,
                compute_type=codebuild.ComputeType.MEDIUM,
                # Docker runs inside the build's container.
                privileged=True,
            ),
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group)),
            grant_report_group_permissions=False,
            timeout=cdk.Duration.minutes(BUILD_TIMEOUT_MIN),
        )
        acknowledge(project, "AwsSolutions-CB3", "docker build needs a privileged container")
        acknowledge(project, "AwsSolutions-CB4", "builds leave no artifacts but images, which ECR encrypts")
        return project


def _builder(scope: Construct, cluster: str) -> iam.IPrincipal:
    """Return CodeBuild as one who may take a role, for this project only.

    https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html
    """
    stack = cdk.Stack.of(scope)
    project = f"arn:{stack.partition}:codebuild:{stack.region}:{stack.account}:project/{names.image_builder(cluster)}"
    return iam.ServicePrincipal(
        "codebuild.amazonaws.com",
        conditions={"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": project}},
    )
