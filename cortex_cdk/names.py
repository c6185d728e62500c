"""How things are named in the account. The only module that builds such a name, or takes one apart.

Names that a replica knows, too (metrics, log streams, variables), are in ``cortex_serving.contract``.

A name that joins two puts a character between them that neither can contain, so that two clusters never have one name
for different things. Names of stacks take no such character: there ``-api-`` and ``-split-`` are the separators, which
the names of clusters must not contain (``config.cluster.NAME``).
"""

from __future__ import annotations

from dataclasses import dataclass

from cortex_serving.contract import REALTIME_API, TRAFFIC_SPLITTER

DEFAULT_CLUSTER, DEFAULT_REGION = "cortex", "us-east-1"
"""Name and region of a cluster, where the user names neither."""
CLUSTER_FILE = "cluster.yaml"
"""A cluster's configuration in a folder."""
TAG_PREFIX = "cortex:"
TAG_CLUSTER = "cortex:cluster"
TAG_API = "cortex:api"
TAG_KIND = "cortex:kind"
CLUSTER_KIND = "Cluster"
"""``TAG_KIND`` of a cluster's own stack; other stacks have the kind of their API or splitter."""
REQUESTS_POLICY, IN_FLIGHT_POLICY = "RequestsPerTarget", "RequestsInFlight"
"""Ends of the names of an API's scaling policies, before the digits that CloudFormation adds."""
PROJECT_PREFIX = "projects/"
CONFIGURATION_PREFIX = "configurations/"
BUILD_CONTEXT_PREFIX = "builds/"
HISTORY_PREFIX = "history/"
ACCESS_KEYS = "access/keys.json"
"""The object with the hashes of the cluster's API keys."""
CLUSTER_METADATA = "Cortex"
"""Key in the ``Metadata`` of a cluster's template: the cluster's configuration as JSON."""


class Parameter:
    """Names of the parameters of an API's template."""

    IMAGE = "Image"
    PROJECT_KEY = "ProjectKey"
    REVISION = "Revision"
    REPLICA_ENDPOINT = "ReplicaEndpoint"
    """The API's path when its replicas were last replaced."""
    INITIAL_REPLICAS = "InitialReplicas"
    MINIMUM_HEALTHY_PERCENT = "MinimumHealthyPercent"
    MAXIMUM_PERCENT = "MaximumPercent"


class Output:
    """Names of the outputs of stacks of APIs and splitters. Those of a cluster's are in ``ClusterResources``."""

    SPEC_DIGEST = "SpecDigest"
    """Of clusters' stacks, too: digest of everything that the template was made from."""
    ENDPOINT = "Endpoint"
    LISTENER_RULE_PRIORITY = "ListenerRulePriority"
    SERVICE_NAME = "ServiceName"
    TARGET_GROUP_ARN = "TargetGroupArn"
    TARGET_GROUP_FULL_NAME = "TargetGroupFullName"
    """The ``TargetGroup`` dimension of the load balancer's metrics."""
    UPDATE_STRATEGY = "UpdateStrategy"
    AUTH = "Auth"
    """Who may send requests: ``api_key``, or the section ``jwt`` as JSON. Not there where everybody may."""


@dataclass(frozen=True)
class Resource:
    """An API or traffic splitter of a cluster.

    Attributes:
        kind: ``RealtimeAPI`` or ``TrafficSplitter``.
        name: Its name in ``cortex.yaml``.
    """

    kind: str
    name: str


def cluster_stack(cluster: str) -> str:
    """The name of the stack that holds the cluster's shared resources."""
    return f"cortex-{cluster}-cluster"


def deployer_policy(cluster: str, purpose: str) -> str:
    """The name of an IAM policy for somebody who uses the cluster for a purpose."""
    return f"cortex-{cluster}-{purpose}"


def api_stack(cluster: str, api: str) -> str:
    """The name of the stack of one Realtime API."""
    return f"cortex-{cluster}-api-{api}"


def splitter_stack(cluster: str, splitter: str) -> str:
    """The name of the stack of one traffic splitter."""
    return f"cortex-{cluster}-split-{splitter}"


def stack_of(cluster: str, resource: Resource) -> str:
    """The name of the stack of an API or traffic splitter."""
    stack = api_stack if resource.kind == REALTIME_API else splitter_stack
    return stack(cluster, resource.name)


def resource_of(cluster: str, stack: str) -> Resource | None:
    """The API or traffic splitter that a stack's name stands for in a cluster; None for the name of another stack.

    The stack of another cluster may have such a name. Its tag ``TAG_CLUSTER`` tells.
    """
    for kind, prefix in ((REALTIME_API, api_stack(cluster, "")), (TRAFFIC_SPLITTER, splitter_stack(cluster, ""))):
        if stack.startswith(prefix) and stack != prefix:
            return Resource(kind, stack.removeprefix(prefix))
    return None


def ecs_cluster(cluster: str) -> str:
    """The name of the ECS cluster."""
    return f"cortex-{cluster}"


def service(api: str) -> str:
    """The name of the ECS service of an API, inside its ECS cluster."""
    return api


def capacity_provider(cluster: str, group: str) -> str:
    """The name of the ECS capacity provider of an instance group."""
    return f"cortex-{cluster}_{group}"


def instance_group(cluster: str, provider: str) -> str:
    """The instance group of a cluster, from the name of its capacity provider."""
    return provider.removeprefix(capacity_provider(cluster, ""))


def task_family(cluster: str, api: str) -> str:
    """The family of an API's task definitions."""
    return f"cortex-{cluster}_{api}"


def log_group(cluster: str, api: str) -> str:
    """The CloudWatch log group of an API."""
    return f"/cortex/{cluster}/{api}"


def log_groups(cluster: str) -> str:
    """The beginning of the names of the log groups of a cluster's APIs."""
    return log_group(cluster, "")


def repository(cluster: str) -> str:
    """The ECR repository of the cluster's images."""
    return f"cortex-{cluster}"


def image_builder(cluster: str) -> str:
    """The CodeBuild project that builds the cluster's images."""
    return f"cortex-{cluster}-image-builder"


def project_prefix(api: str) -> str:
    """The beginning of the object keys of an API's project archives, which only its own replicas may read."""
    return f"{PROJECT_PREFIX}{api}/"


def project_key(api: str, digest: str) -> str:
    """The object key of a project archive in the cluster's bucket."""
    return f"{project_prefix(api)}{digest}.zip"


def configuration_key(digest: str) -> str:
    """The object key of the configuration of an API or splitter: that of the specification with that digest."""
    return f"{CONFIGURATION_PREFIX}{digest}.json"


def history_prefix(api: str) -> str:
    """The beginning of the object keys of the records of the deployments of an API or splitter."""
    return f"{HISTORY_PREFIX}{api}/"


def history_key(api: str, number: int) -> str:
    """The object key of the record of a deployment, so that keys are in the order of numbers."""
    return f"{history_prefix(api)}{number:06}.json"


def number_of(key: str) -> int | None:
    """The number of a deployment, from the key of its record; None for the key of something else."""
    number = key.rpartition("/")[2].removesuffix(".json")
    return int(number) if key.endswith(".json") and number.isdecimal() else None


def build_context_key(tag: str) -> str:
    """The object key of the build context of the image with that tag."""
    return f"{BUILD_CONTEXT_PREFIX}{tag}.zip"


def change_set(moment: int) -> str:
    """The name of a change set; ``moment`` (nanoseconds since the epoch) tells it from others of its stack."""
    return f"cortex-{moment}"


ERRORS, UNHEALTHY = ALARM_SUBJECTS = ("errors", "unhealthy")
"""Subjects of an API's alarms."""


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
    """The log group of image builds: the one that CodeBuild writes to by default."""
    return f"/aws/codebuild/{image_builder(cluster)}"
