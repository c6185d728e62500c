"""Whether the cluster's load balancer has room for what is new: asked before anything is created.

Source: "Quotas for your Application Load Balancers" (Elastic Load Balancing user guide). The quota of target groups
cannot be raised; that of rules can, and DescribeAccountLimits says to how many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config import Config
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.stack import list_stacks
from cortex_cdk.synthesis.specs import ClusterResources

if TYPE_CHECKING:
    from mypy_boto3_elbv2.type_defs import RuleTypeDef

MOST_TARGET_GROUPS = MOST_RULES = 100
RULES_LIMIT = "rules-per-application-load-balancer"
_ELSEWHERE = (
    "delete what is not needed (cortex delete), or deploy to another cluster (cortex env configure, cluster up)"
)


def check_load_balancer(cloud: Cloud, cluster: ClusterResources, config: Config) -> None:
    """Count the target groups (one for each API) and rules (one for each API and splitter) that there would be.

    Raises:
        DeployError: There would be more than a load balancer takes.
    """
    pages = cloud.elbv2.get_paginator("describe_rules").paginate(ListenerArn=cluster.listener_arn)
    rules = [rule for page in pages for rule in page["Rules"] if not rule.get("IsDefault")]
    groups = len({arn for rule in rules for arn in _target_groups(rule)})
    wanted = [*config.apis, *config.splitters]
    if groups + len(config.apis) <= MOST_TARGET_GROUPS and len(rules) + len(wanted) <= MOST_RULES:
        return  # whatever of it is new
    deployed = {stack.name for stack in list_stacks(cloud, f"cortex-{cluster.cluster}-")}
    apis = sum(names.api_stack(cluster.cluster, api.name) not in deployed for api in config.apis)
    splitters = sum(names.splitter_stack(cluster.cluster, one.name) not in deployed for one in config.splitters)
    if apis and groups + apis > MOST_TARGET_GROUPS:
        raise _full(cluster, "target groups (one for each API)", groups, apis, MOST_TARGET_GROUPS, raisable=False)
    most = _most_rules(cloud)
    if apis + splitters and len(rules) + apis + splitters > most:
        raise _full(cluster, "rules (one for each API and splitter)", len(rules), apis + splitters, most, raisable=True)


def _target_groups(rule: RuleTypeDef) -> Iterator[str]:
    for action in rule.get("Actions", []):
        if "TargetGroupArn" in action:
            yield action["TargetGroupArn"]
        for group in action.get("ForwardConfig", {}).get("TargetGroups", []):
            yield group.get("TargetGroupArn", "")


def _most_rules(cloud: Cloud) -> int:
    """How many rules a load balancer of this account takes; the default where that may not be asked."""
    from botocore.exceptions import ClientError

    try:
        limits = cloud.elbv2.describe_account_limits()["Limits"]
    except ClientError:
        return MOST_RULES
    return next((int(limit["Max"]) for limit in limits if limit.get("Name") == RULES_LIMIT), MOST_RULES)


def _full(cluster: ClusterResources, what: str, present: int, more: int, most: int, *, raisable: bool) -> DeployError:
    hint = (
        f"ask for more in the Service Quotas console, {_ELSEWHERE}"
        if raisable
        else f"{_ELSEWHERE}: AWS raises no limit"
    )
    return DeployError(
        f"the load balancer of cluster {cluster.cluster} has {present} {what}, of {most} at most, "
        f"and this deployment adds {more}",
        hint=hint,
    )
