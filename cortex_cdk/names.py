"""How things are named in the account. The only module that knows it (see "Names" in the design).

A name that joins two puts a character between them that neither can contain, so that two clusters never have one name
for different things. Names of stacks take no such character: there ``-api-`` and ``-split-`` are the separators, which
the names of clusters must not contain (``config.cluster.NAME``).
"""

from __future__ import annotations

METRIC_NAMESPACE = "Cortex"
TAG_CLUSTER = "cortex:cluster"
TAG_API = "cortex:api"
TAG_KIND = "cortex:kind"
REQUESTS_POLICY, IN_FLIGHT_POLICY = "RequestsPerTarget", "RequestsInFlight"
"""With what the names of an API's scaling policies end, before the digits that CloudFormation adds."""
PROJECT_PREFIX = "projects/"
BUILD_CONTEXT_PREFIX = "builds/"
CLUSTER_METADATA = "Cortex"
"""Where the template of a cluster's stack keeps the configuration that it was made from, as JSON."""


def cluster_stack(cluster: str) -> str:
    """The name of the stack that holds the cluster's shared resources."""
    return f"cortex-{cluster}-cluster"


def api_stack(cluster: str, api: str) -> str:
    """The name of the stack of one Realtime API."""
    return f"cortex-{cluster}-api-{api}"


def splitter_stack(cluster: str, splitter: str) -> str:
    """The name of the stack of one traffic splitter."""
    return f"cortex-{cluster}-split-{splitter}"


def ecs_cluster(cluster: str) -> str:
    """The name of the ECS cluster."""
    return f"cortex-{cluster}"


def service(api: str) -> str:
    """The name of the ECS service of an API, inside its ECS cluster."""
    return api


def capacity_provider(cluster: str, group: str) -> str:
    """The name of the ECS capacity provider of an instance group."""
    return f"cortex-{cluster}_{group}"


def task_family(cluster: str, api: str) -> str:
    """The family of an API's task definitions."""
    return f"cortex-{cluster}_{api}"


def log_group(cluster: str, api: str) -> str:
    """The CloudWatch log group of an API."""
    return f"/cortex/{cluster}/{api}"


def repository(cluster: str) -> str:
    """The ECR repository of the cluster's images."""
    return f"cortex-{cluster}"


def image_builder(cluster: str) -> str:
    """The CodeBuild project that builds the cluster's images."""
    return f"cortex-{cluster}-image-builder"


def project_key(digest: str) -> str:
    """The object key of a project archive in the cluster's bucket."""
    return f"{PROJECT_PREFIX}{digest}.zip"


def build_context_key(tag: str) -> str:
    """The object key of the build context of the image with that tag."""
    return f"{BUILD_CONTEXT_PREFIX}{tag}.zip"


ERRORS, UNHEALTHY = ALARM_SUBJECTS = ("errors", "unhealthy")
"""What an API's alarms are about."""


def alarm(cluster: str, api: str, subject: str) -> str:
    """The name of one of an API's alarms; the subject is one of ``ALARM_SUBJECTS``."""
    return f"cortex/{cluster}/{api}/{subject}"


def balancer_alarm(cluster: str) -> str:
    """The name of a cluster's alarm on its load balancer."""
    return f"cortex/{cluster}/load-balancer"


def dashboard(cluster: str) -> str:
    """The name of the cluster's CloudWatch dashboard."""
    return f"cortex-{cluster}"


def image_builder_log_group(cluster: str) -> str:
    """The log group of image builds: where CodeBuild puts them by default."""
    return f"/aws/codebuild/{image_builder(cluster)}"
