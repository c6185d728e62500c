"""Where images are kept and built, so that nobody needs Docker: an ECR repository and a CodeBuild project."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cortex_cdk import names
from cortex_stacks.constructs.permissions import acknowledge, acknowledge_wildcard, allow

BUILD_TIMEOUT_MIN = 60
LOG_RETENTION = logs.RetentionDays.ONE_MONTH
# Base images come from ECR Public, which lets those who are logged in pull ten times as often (its service quotas). It
# knows one region, and no account of another partition (China): then without.
# https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html
PUBLIC_LOGIN = (
    "aws ecr-public get-login-password --region us-east-1 | docker login --username AWS --password-stdin public.ecr.aws"
)
# The build context (a zip with a Dockerfile), the tag, the repository and options (which images may serve as a cache)
# come with the request to build. An image describes its layers (inline cache), so that it can be such a cache.
# Pushing belongs to the same phase: CodeBuild runs a later phase even where this one failed.
BUILD_SPEC = {
    "version": "0.2",
    "env": {"variables": {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "BUILD_OPTIONS": ""}},
    "phases": {
        "build": {
            "on-failure": "ABORT",
            "commands": [
                'aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE_REPOSITORY%%/*}"',
                f'{PUBLIC_LOGIN} || echo "base images are pulled without a login"',
                "docker build --build-arg BUILDKIT_INLINE_CACHE=1 $BUILD_OPTIONS "
                '--tag "$IMAGE_REPOSITORY:$IMAGE_TAG" .',
                'docker push "$IMAGE_REPOSITORY:$IMAGE_TAG"',
            ],
        }
    },
}


class ImageBuilder(Construct):
    """Image repository and builder of a cluster.

    Attributes:
        repository: Tags are hashes of what is in the image, so they never change.
        project: The CodeBuild project; the source is named when a build starts.
    """

    def __init__(self, scope: Construct, id: str, *, cluster: str, bucket: s3.Bucket) -> None:
        super().__init__(scope, id)
        self.repository = self._repository(cluster)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
        self.project = self._project(cluster, role)
        contexts = bucket.arn_for_objects(f"{names.BUILD_CONTEXT_PREFIX}*")
        allow(role, ["s3:GetObject", "s3:GetObjectVersion"], [contexts], because="every build has a context of its own")
        # Pulled are the images that serve as a cache.
        self.repository.grant_pull_push(role)
        acknowledge_wildcard(role, "*", "ecr:GetAuthorizationToken takes no resource")
        allow(role, ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"], ["*"])
        streams = f"{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:log-group:/aws/codebuild/{self.project.project_name}:*"
        acknowledge_wildcard(role, f"arn:{cdk.Aws.PARTITION}:logs:{streams}", "the streams of its own log group")

    def _repository(self, cluster: str) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Repository",
            repository_name=names.repository(cluster),
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            # No lifecycle rules: ECR does not know which images are deployed. cortex_cdk.deploy.image_cleanup does.
            image_scan_on_push=True,
            # Everything in it can be built again from the projects.
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
            role=role,
            build_spec=codebuild.BuildSpec.from_object(BUILD_SPEC),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.AMAZON_LINUX_2023_5,
                compute_type=codebuild.ComputeType.MEDIUM,
                # Docker inside of the build's container.
                privileged=True,
            ),
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group)),
            grant_report_group_permissions=False,
            timeout=cdk.Duration.minutes(BUILD_TIMEOUT_MIN),
        )
        acknowledge(project, "AwsSolutions-CB3", "docker build needs a privileged container")
        acknowledge(project, "AwsSolutions-CB4", "builds leave no artifacts but images, which ECR encrypts")
        return project
