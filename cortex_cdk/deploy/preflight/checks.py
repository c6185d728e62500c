"""The list of the checks, and the error that shows everything that they found."""

from __future__ import annotations

from cortex_cdk.aws.checks import Check, run_checks
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.deploy.preflight.auth import check_auth
from cortex_cdk.deploy.preflight.capacity import check_fit, check_gpus, check_rollout
from cortex_cdk.deploy.preflight.endpoints import check_endpoints
from cortex_cdk.deploy.preflight.exposure import check_exposure
from cortex_cdk.deploy.preflight.images import check_images
from cortex_cdk.deploy.preflight.load_balancer import check_load_balancer
from cortex_cdk.deploy.preflight.managed_policies import check_managed_policies
from cortex_cdk.deploy.preflight.models import check_models
from cortex_cdk.deploy.preflight.names import check_names
from cortex_cdk.deploy.preflight.operations import check_operations
from cortex_cdk.deploy.preflight.secrets import check_secrets
from cortex_cdk.deploy.preflight.splitter_members import check_members
from cortex_cdk.errors import Finding, PreflightError

# In the order in which findings are shown.
CHECKS: tuple[Check[Deployment], ...] = (
    Check("names", check_names),
    Check("whether replicas fit the instances", check_fit),
    Check("the GPUs of the instances", check_gpus),
    Check("whether predictor.image exists", check_images),
    Check("the models on S3", check_models),
    Check("secrets", check_secrets),
    Check("the policies of predictor.iam_policies", check_managed_policies),
    Check("endpoints", check_endpoints),
    Check("the quotas of the load balancer", check_load_balancer),
    Check("members of traffic splitters", check_members),
    Check("who can reach the cluster", check_exposure),
    Check("who may send requests", check_auth),
    Check("operations that run", check_operations),
    Check("the room for updates", check_rollout),
)


def check(deployment: Deployment) -> tuple[Finding, ...]:
    """Look for everything that stands in the way of a deployment. Reads only.

    Returns:
        The warnings.

    Raises:
        PreflightError: Something does; the error has all of it.
    """
    findings = run_checks(CHECKS, deployment, f"cluster {deployment.cluster.name}")
    fatal = [finding for finding in findings if finding.fatal]
    if fatal:
        raise PreflightError("nothing was deployed", fatal)
    return tuple(findings)
