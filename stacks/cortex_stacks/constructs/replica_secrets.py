"""Secrets of an API (``predictor.secrets``): ECS puts their values into the container when a replica starts.

The template has names and ARNs only. The execution role, with which the ECS agent reads the values, may read these
secrets and no others.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-ssm-paramstore.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from cortex_cdk.config.sections.secret_reference import SecretReference
from cortex_cdk.synthesis.specs import ApiStackSpec
from cortex_stacks.constructs.permissions import allow

_SERVICES = {
    False: ("secretsmanager", "secretsmanager:GetSecretValue", "SecretARN"),
    True: ("ssm", "ssm:GetParameters", "PARAMETER_ARN"),
}
"""By whether it is a parameter: the service, the action, and the name that the service gives an ARN for KMS."""
_SUFFIX = "-??????"
"""What Secrets Manager adds to a secret's name to make its ARN."""


def pass_secrets(definition: ecs.Ec2TaskDefinition, role: iam.Role, spec: ApiStackSpec) -> None:
    """Let the agent give the secrets of an API to the only container of a task definition.

    Args:
        definition: The task definition.
        role: Its execution role.
        spec: The API.
    """
    references = spec.api.predictor.secret_references
    if not references:
        return
    passed = [
        {"Name": variable, "ValueFrom": reference.value_from(_arn(spec, reference))}
        for variable, reference in sorted(references.items())
    ]
    resource = definition.node.default_child
    if not isinstance(resource, ecs.CfnTaskDefinition):
        raise AssertionError(f"{definition.node.path} has no task definition")
    # ``ecs.Secret`` would allow secretsmanager:DescribeSecret, too, and takes no ARN of a version.
    resource.add_property_override("ContainerDefinitions.0.Secrets", passed)
    _allow_to_read(role, spec, references.values())


def _arn(spec: ApiStackSpec, reference: SecretReference) -> str:
    if reference.is_arn:
        return reference.name
    if reference.is_parameter:
        return _of_the_account("ssm", f"parameter/{reference.name.removeprefix('/')}")
    return spec.secret_arns.get(reference.name) or _of_the_account("secretsmanager", f"secret:{reference.name}")


def _of_the_account(service: str, resource: str) -> str:
    return f"arn:{cdk.Aws.PARTITION}:{service}:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:{resource}"


def _allow_to_read(role: iam.Role, spec: ApiStackSpec, references: Iterable[SecretReference]) -> None:
    readable: defaultdict[tuple[bool, str, str], list[str]] = defaultdict(list)
    for reference in sorted(set(references), key=str):
        arn = _arn(spec, reference)
        known = reference.is_complete or reference.name in spec.secret_arns
        _, _, _, region, account, _ = reference.name.split(":", 5) if reference.is_arn else ("",) * 6
        place = (reference.is_parameter, region or cdk.Aws.REGION, account or cdk.Aws.ACCOUNT_ID)
        resource = arn if known else f"{arn}{_SUFFIX}"
        if resource not in readable[place]:
            readable[place].append(resource)
    for (is_parameter, region, account), arns in readable.items():
        service, action, context = _SERVICES[is_parameter]
        allow(role, [action], arns)
        # Secrets may be encrypted with any key of their account; only through the service, and only these.
        # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
        # https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
        allow(
            role,
            ["kms:Decrypt"],
            [f"arn:{cdk.Aws.PARTITION}:kms:{region}:{account}:key/*"],
            because="the key of a secret is its owner's choice; the condition names the secrets",
            conditions={
                "StringEquals": {"kms:ViaService": f"{service}.{region}.{cdk.Aws.URL_SUFFIX}"},
                "StringLike": {f"kms:EncryptionContext:{context}": arns},
            },
        )
