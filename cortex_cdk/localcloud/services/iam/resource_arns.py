"""Tells which resources a call is about, as policies name them.

Source: Service Authorization Reference, "Actions, resources, and condition keys" of each service.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from cortex_cdk.localcloud.services.iam.api_call import ApiCall
from cortex_cdk.localcloud.services.iam.decision import Access
from cortex_cdk.localcloud.services.iam.keys import arn_of_key, key_of_ciphertext, use_of_key
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

GLOBAL = ("iam", "sts", "route53")
"""Services whose ARNs have no region."""
FORMATS: Mapping[str, Mapping[str, str]] = {
    "acm": {"CertificateArn": "certificate/{}"},
    "autoscaling": {
        "AutoScalingGroupName": "autoScalingGroup:*:autoScalingGroupName/{}",
        "LaunchConfigurationName": "launchConfiguration:*:launchConfigurationName/{}",
    },
    "application-autoscaling": {"ResourceARN": "scalable-target/{}", "ResourceId": "scalable-target/{}"},
    "cloudformation": {"StackName": "stack/{}/*", "ChangeSetName": "changeSet/{}/*"},
    "cloudwatch": {
        "AlarmName": "alarm:{}",
        "AlarmNames": "alarm:{}",
        "DashboardName": "dashboard/{}",
        "DashboardNames": "dashboard/{}",
        "ResourceARN": "{}",
    },
    "codebuild": {"projectName": "project/{}", "name": "project/{}", "names": "project/{}", "projectArn": "project/{}"},
    "ecr": {"repositoryName": "repository/{}", "repositoryNames": "repository/{}", "resourceArn": "{}"},
    "elasticloadbalancing": {
        "RuleArn": "{}",
        "ListenerArn": "{}",
        "TargetGroupArn": "{}",
        "LoadBalancerArn": "{}",
        "ResourceArns": "{}",
    },
    "iam": {
        "RoleName": "role/{}",
        "InstanceProfileName": "instance-profile/{}",
        "PolicyArn": "policy/{}",
        "UserName": "user/{}",
        "GroupName": "group/{}",
    },
    "route53": {"HostedZoneId": "hostedzone/{}", "Id": "hostedzone/{}"},
    "ssm": {"Name": "parameter/{}", "Names": "parameter/{}", "Path": "parameter/{}", "ResourceId": "parameter/{}"},
    "sts": {"RoleArn": "role/{}"},
}
"""The parameters that name a resource, the first that a call has, and how the ARN ends. An ARN is taken as it is."""


def accesses(call: ApiCall) -> Iterator[Access]:
    """Yield what a call needs, in the order in which the service would miss it."""
    context = _context(call)
    for resource in ODD.get(call.service, _by_format)(call):
        yield Access(call.action, resource, context)
    yield from _passed_roles(call)
    yield from _decryption(call)


def _arn(service: str, end: str) -> str:
    region = "" if service in GLOBAL or end.startswith("dashboard/") else REGION
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{end}"


def _by_format(call: ApiCall) -> Iterable[str]:
    for name, end in FORMATS.get(call.service, {}).items():
        values = call.parameters.get(name)
        if values:
            return [_named(call.service, end, str(value)) for value in _as_list(values)]
    return ["*"]


def _named(service: str, end: str, value: str) -> str:
    if value.startswith("arn:"):
        # The ARN of a stack ends with the stack's id, which no policy knows before the stack is there.
        return value.rpartition("/")[0] + "/*" if service == "cloudformation" else value
    return _arn(service, end.format(value.lstrip("/")))


def _as_list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _secrets(call: ApiCall) -> Iterable[str]:
    if call.operation == "CreateSecret":
        return [_arn("secretsmanager", f"secret:{call.text('Name')}")]
    names = _as_list(call.parameters.get("SecretIdList") or call.parameters.get("SecretId") or [])
    return [_secret_arn(str(name)) for name in names] or ["*"]


def _secret_arn(name: str) -> str:
    """Return the ARN of a secret with the six characters that Secrets Manager adds to its name."""
    found = _secret(name)
    if found is not None:
        return str(found.arn)
    return name if name.startswith("arn:") else _arn("secretsmanager", f"secret:{name}")


def _secret(name: str) -> Any:
    models = sys.modules.get("moto.secretsmanager.models")
    return models.secretsmanager_backends[ACCOUNT_ID][REGION].secrets.get(name) if models else None


def _log_groups(call: ApiCall) -> Iterable[str]:
    # Messages of AWS name group and stream, and policies that end with ":*" fit both.
    stream = call.text("logStreamName")
    groups = next(
        (
            call.parameters[name]
            for name in ("logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers", "resourceArn")
            if call.parameters.get(name)
        ),
        call.text("logGroupNamePrefix"),
    )
    for group in map(str, _as_list(groups)):
        if call.text("resourceArn"):
            yield group
        else:
            name = group.split(":log-group:")[-1].removesuffix(":*")
            yield _arn("logs", f"log-group:{name}:log-stream:{stream}")


def _keys(call: ApiCall) -> Iterable[str]:
    key = call.text("KeyId") or call.text("TargetKeyId")
    if not key and call.text("CiphertextBlob"):
        with suppress(ValueError):
            key = key_of_ciphertext(base64.b64decode(call.text("CiphertextBlob"))) or ""
    return [arn_of_key(key)] if key else ["*"]


def _ecs(call: ApiCall) -> Iterable[str]:
    cluster = (call.text("cluster") or "default").rpartition("/")[2]
    named: tuple[tuple[str, str], ...] = (
        ("taskDefinition", "task-definition/{}"),
        ("family", "task-definition/{}:*"),
        ("services", f"service/{cluster}/{{}}"),
        ("service", f"service/{cluster}/{{}}"),
        ("serviceName", f"service/{cluster}/{{}}"),
        ("tasks", f"task/{cluster}/{{}}"),
        ("task", f"task/{cluster}/{{}}"),
        ("containerInstances", f"container-instance/{cluster}/{{}}"),
        ("containerInstance", f"container-instance/{cluster}/{{}}"),
        ("capacityProviders", "capacity-provider/{}"),
        ("clusters", "cluster/{}"),
        ("clusterName", "cluster/{}"),
        ("resourceArn", "{}"),
        ("serviceDeploymentArn", "{}"),
        ("cluster", "cluster/{}"),
    )
    of_services = call.operation in ("CreateService", "UpdateService", "DeleteService")
    for name, end in named:
        values = call.parameters.get(name)
        if values and not (of_services and name == "taskDefinition"):
            return [_named("ecs", end, str(value)) for value in _as_list(values)]
    return ["*"]


def _codebuild(call: ApiCall) -> Iterable[str]:
    # The id of a build begins with its project.
    projects = [str(build).partition(":")[0] for build in _as_list(call.parameters.get("ids") or call.text("id") or [])]
    return [_arn("codebuild", f"project/{project}") for project in projects] or _by_format(call)


def _passed_roles(call: ApiCall) -> Iterator[Access]:
    """Yield what it needs to give a role to a service (IAM user guide, "Pass a role to an AWS service")."""
    for name, service in (
        ("taskRoleArn", "ecs-tasks"),
        ("executionRoleArn", "ecs-tasks"),
        ("serviceRole", "codebuild"),
    ):
        role = call.text(name)
        if role:
            arn = role if role.startswith("arn:") else _arn("iam", f"role/{role}")
            yield Access("iam:PassRole", arn, {"iam:passedtoservice": (f"{service}.amazonaws.com",)})


def _decryption(call: ApiCall) -> Iterator[Access]:
    """Yield what it needs to read a secret or a parameter that is encrypted with a key of one's own."""
    if call.action == "secretsmanager:GetSecretValue":
        secret = _secret(call.text("SecretId"))
        context = {"kms:encryptioncontext:secretarn": (str(getattr(secret, "arn", "")),)}
        yield from use_of_key(getattr(secret, "kms_key_id", None), "kms:Decrypt", "secretsmanager", context)
    models = sys.modules.get("moto.ssm.models")
    if call.action in ("ssm:GetParameter", "ssm:GetParameters") and models and call.parameters.get("WithDecryption"):
        names = _as_list(call.parameters.get("Names") or call.parameters.get("Name"))
        for found in models.ssm_backends[ACCOUNT_ID][REGION].get_parameters(names).values():
            yield from use_of_key(found.keyid, "kms:Decrypt", "ssm", {})


def _context(call: ApiCall) -> dict[str, tuple[str, ...]]:
    """Return the values of the services' own condition keys that a call has."""
    found: dict[str, tuple[str, ...]] = {}
    if call.service == "cloudwatch" and call.text("Namespace"):
        found["cloudwatch:namespace"] = (call.text("Namespace"),)
    if call.service == "ecs" and call.text("cluster"):
        found["ecs:cluster"] = (_named("ecs", "cluster/{}", call.text("cluster")),)
    if call.service == "secretsmanager":
        if name := call.text("SecretId"):
            found["secretsmanager:secretid"] = (_secret_arn(name),)
            found["secretsmanager:versionstage"] = (call.text("VersionStage") or "AWSCURRENT",)
            found |= _tags("aws:resourcetag", getattr(_secret(name), "tags", None))
        found |= _tags("aws:requesttag", call.parameters.get("Tags"))
    if call.service == "sts" and call.text("ExternalId"):
        found["sts:externalid"] = (call.text("ExternalId"),)
    if call.service == "sts" and call.text("RoleSessionName"):
        found["sts:rolesessionname"] = (call.text("RoleSessionName"),)
    return found


def _tags(kind: str, tags: Any) -> dict[str, tuple[str, ...]]:
    return {f"{kind}/{tag['Key'].lower()}": (tag["Value"],) for tag in tags or []}


ODD: dict[str, Callable[[ApiCall], Iterable[str]]] = {
    "codebuild": _codebuild,
    "ecs": _ecs,
    "kms": _keys,
    "logs": _log_groups,
    "secretsmanager": _secrets,
}
"""Services whose resources a format does not tell."""
