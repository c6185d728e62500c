"""The roles of an API's replicas: what ECS does for them, and what their code may do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cortex_cdk import names
from cortex_cdk.config.sections.iam_policies import managed, statements
from cortex_cdk.image_reference import parse_ecr
from cortex_cdk.synthesis.specs import ApiStackSpec
from cortex_stacks.constructs.permissions import acknowledge, allow

OWN_POLICY = "predictor-iam-policies"
AWS_POLICY = "arn:aws:iam::aws:policy/"


def tasks_principal(scope: Construct) -> iam.IPrincipal:
    """Return ECS as one who may take a role, for tasks of this account only.

    Without the conditions, ECS could be made to use the role for somebody else's task ("Amazon ECS task IAM role",
    the confused deputy).
    """
    stack = cdk.Stack.of(scope)
    return iam.ServicePrincipal(
        "ecs-tasks.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:ecs:{stack.region}:{stack.account}:*"},
        },
    )


def execution_role(scope: Construct, spec: ApiStackSpec) -> iam.Role:
    """Return the role of the ECS agent, which pulls the image before the container runs."""
    role = iam.Role(scope, "ExecutionRole", assumed_by=tasks_principal(scope))
    repositories = [spec.cluster.repository_arn]
    own = parse_ecr(spec.api.predictor.image or "")
    if own:
        repositories.append(f"arn:{cdk.Aws.PARTITION}:ecr:{own.region}:{own.account}:repository/{own.repository}")
    allow(role, ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], repositories)
    allow(role, ["ecr:GetAuthorizationToken"], ["*"], because="the action takes no resource")
    return role


class TaskRole(Construct):
    """The role of the container: fetches its own project and models, writes its own log, and what the user allows.

    The policies are resources of their own. One that another version of the template had stays until the service is
    updated: CloudFormation removes resources last, so that replicas of the revision before keep what they need.

    Args:
        spec: The API, and the cluster's resources.

    Attributes:
        role: The role. Depend on the construct, to have its policies, too.
    """

    def __init__(self, scope: Construct, id: str, spec: ApiStackSpec) -> None:
        super().__init__(scope, id)
        # At this place in the tree the role keeps its id, and the replicas, over versions of the template.
        self.role = iam.Role(scope, "TaskRole", assumed_by=tasks_principal(self))
        access = iam.Policy(self, "Policy", roles=[self.role])
        self._read_s3(access, spec)
        self._write_log(access, spec)
        self._attach(spec)

    def _read_s3(self, access: iam.Policy, spec: ApiStackSpec) -> None:
        s3 = f"arn:{cdk.Aws.PARTITION}:s3:::"
        own = [f"{s3}{spec.cluster.bucket}/{names.project_prefix(spec.api.name)}*"]
        if spec.api.networking.auth.api_key:
            own.append(f"{s3}{spec.cluster.bucket}/{names.ACCESS_KEYS}")
        models: list[str] = []
        for bucket, found in groupby(spec.api.predictor.s3_prefixes, key=itemgetter(0)):
            keys = [key for _, prefix in found for key in ((prefix, f"{prefix}/*") if prefix else ("*",))]
            models += [f"{s3}{bucket}/{key}" for key in keys]
            allow(access, ["s3:ListBucket"], [f"{s3}{bucket}"], conditions={"StringLike": {"s3:prefix": keys}})
        allow(
            access,
            ["s3:GetObject"],
            [*own, *models],
            because="an old replica may start again beside a new project; models are folders",
        )
        if models:
            self._decrypt(access, sorted({bucket for bucket, _ in spec.api.predictor.s3_prefixes}))

    def _decrypt(self, access: iam.Policy, buckets: list[str]) -> None:
        """Allow to read objects that S3 has encrypted with a key of KMS, whose policy decides as well.

        The encryption context is the object, or the bucket where the bucket has a key of its own ("Using server-side
        encryption with AWS KMS keys", S3 user guide). Which objects, the statement on S3 says.
        """
        contexts = [f"arn:{cdk.Aws.PARTITION}:s3:::{bucket}{below}" for bucket in buckets for below in ("", "/*")]
        allow(
            access,
            ["kms:Decrypt"],
            [f"arn:{cdk.Aws.PARTITION}:kms:*:*:key/*"],
            because="which key encrypts a model is only known to S3; the conditions bind the key to the buckets",
            conditions={
                "StringLike": {
                    "kms:ViaService": f"s3.*.{cdk.Aws.URL_SUFFIX}",
                    "kms:EncryptionContext:aws:s3:arn": contexts,
                }
            },
        )

    def _write_log(self, access: iam.Policy, spec: ApiStackSpec) -> None:
        log_group = names.log_group(spec.cluster.cluster, spec.api.name)
        arn = f"arn:{cdk.Aws.PARTITION}:logs:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:log-group:{log_group}"
        allow(
            access,
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [arn, f"{arn}:*"],
            because="the streams of one group, one for each replica",
        )

    def _attach(self, spec: ApiStackSpec) -> None:
        """Attach what the user allows, as it is written."""
        policies = spec.api.predictor.iam_policies
        for number, arn in enumerate(managed(policies)):
            self.role.add_managed_policy(iam.ManagedPolicy.from_managed_policy_arn(self, f"Managed{number}", arn))
            if arn.startswith(AWS_POLICY):
                acknowledge(self.role, f"AwsSolutions-IAM4[Policy::{arn}]", "the user's choice")
        own = statements(policies)
        if own:
            policy = iam.CfnPolicy(
                self,
                "Statements",
                policy_name=OWN_POLICY,
                policy_document={"Version": "2012-10-17", "Statement": own},
                roles=[self.role.role_name],
            )
            for finding in _wide(own):
                acknowledge(policy, finding, "the user's choice")


def _wide(own: list[dict[str, object]]) -> Iterator[str]:
    """Yield the findings of cdk-nag on statements with wildcards."""
    for statement in own:
        for name in ("Action", "Resource"):
            values = statement.get(name, [])
            for value in values if isinstance(values, list) else [values]:
                if "*" in str(value):
                    yield f"AwsSolutions-IAM5[{name}::{value}]"
