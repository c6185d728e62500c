"""Whether the cluster's load balancer has room for what is new.

Source: "Quotas for your Application Load Balancers" (Elastic Load Balancing user guide). The quota of target groups
cannot be raised; that of rules can, and DescribeAccountLimits says to how many.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding

MOST_TARGET_GROUPS = MOST_RULES = 100
RULES_LIMIT = "rules-per-application-load-balancer"
_ELSEWHERE = (
    "delete what is not needed (cortex delete), or deploy to another cluster (cortex env configure, cluster up)"
)


def check_load_balancer(deployment: Deployment) -> Iterator[Finding]:
    """Count the target groups (one for each API) and the rules (one for each API and splitter) that there would be."""
    rules = len(deployment.rules)
    groups = len({group for rule in deployment.rules for group in rule.target_groups})
    apis = sum(target.stack is None for target in deployment.apis)
    new = sum(target.stack is None for target in deployment.targets)
    if apis and groups + apis > MOST_TARGET_GROUPS:
        kind = "target groups (one for each API)"
        hint = f"{_ELSEWHERE}: AWS raises no limit"
        yield _full(deployment, kind, (groups, apis, MOST_TARGET_GROUPS), hint)
    elif new and rules + new > MOST_RULES:
        most = _most_rules(deployment.cloud)
        if rules + new > most:
            kind = "rules (one for each API and splitter)"
            hint = f"ask for more in the Service Quotas console, {_ELSEWHERE}"
            yield _full(deployment, kind, (rules, new, most), hint)


def _most_rules(cloud: Cloud) -> int:
    """How many rules a load balancer of this account takes; the default where that may not be asked."""
    from botocore.exceptions import ClientError

    try:
        limits = cloud.elbv2.describe_account_limits()["Limits"]
    except ClientError:
        return MOST_RULES
    return next((int(limit["Max"]) for limit in limits if limit.get("Name") == RULES_LIMIT), MOST_RULES)


def _full(deployment: Deployment, kind: str, numbers: tuple[int, int, int], hint: str) -> Finding:
    present, more, most = numbers
    return Finding(
        f"cluster {deployment.cluster.name}",
        f"its load balancer has {present} {kind}, of {most} at most, and this deployment adds {more}",
        hint,
    )
