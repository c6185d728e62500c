"""The calls of AWS that this library makes, as permissions.

Actions and the resources that they can be narrowed to: "Service Authorization Reference",
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.aws.permissions.grant import ANYTHING, CLUSTER, OWN, Grant, Scope, arn

_ECS = names.ecs_cluster(CLUSTER)

# Some calls name a change set, and no stack. AWS documents the stack as their resource; both are allowed.
_CHANGE_SETS = arn("cloudformation", "changeSet/cortex-*")
RESOURCE_STACKS = Scope(
    "StacksOfApis",
    (
        arn("cloudformation", f"stack/{names.api_stack(CLUSTER, '*')}/*"),
        arn("cloudformation", f"stack/{names.splitter_stack(CLUSTER, '*')}/*"),
        _CHANGE_SETS,
    ),
)
CLUSTER_STACK = Scope(
    "StackOfTheCluster", (arn("cloudformation", f"stack/{names.cluster_stack(CLUSTER)}/*"), _CHANGE_SETS)
)
OWN_STACKS = Scope("ReadStacks", (arn("cloudformation", f"stack/cortex-{CLUSTER}-*"), _CHANGE_SETS))
SERVICES = Scope(
    "Services",
    (arn("ecs", f"service/{_ECS}/*"), arn("ecs", f"service-deployment/{_ECS}/*"), arn("ecs", f"task/{_ECS}/*")),
)
ECS_CLUSTER = Scope("EcsCluster", (arn("ecs", f"cluster/{_ECS}"),))
MEMBERS = Scope("ContainerInstances", (arn("ecs", f"container-instance/{_ECS}/*"),))
PROVIDERS = Scope("CapacityProviders", (arn("ecs", f"capacity-provider/{names.capacity_provider(CLUSTER, '*')}"),))
SCALABLE_TARGETS = Scope("ScalableTargets", (arn("application-autoscaling", "scalable-target/*"),))
GROUPS = Scope(
    "InstanceGroups",
    (arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{names.cluster_stack(CLUSTER)}-*"),),
)
_OF_RELEASES = (names.PROJECT_PREFIX, names.CONFIGURATION_PREFIX, names.HISTORY_PREFIX)


def _objects(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    bucket = f"{names.cluster_stack(CLUSTER)}-*"
    return tuple(arn("s3", f"{bucket}/{prefix}*", region="", account="") for prefix in prefixes)


OBJECTS = Scope("Objects", _objects((*_OF_RELEASES, names.BUILD_CONTEXT_PREFIX, names.ACCESS_KEYS)))
RELEASES = Scope("Releases", _objects(_OF_RELEASES))
BUCKET = Scope("Bucket", (arn("s3", f"{names.cluster_stack(CLUSTER)}-*", region="", account=""),))
REPOSITORY = Scope("Images", (arn("ecr", f"repository/{names.repository(CLUSTER)}"),))
ANY_REPOSITORY = Scope("ReadImages", (arn("ecr", "repository/*"),))
BUILDER = Scope("ImageBuilder", (arn("codebuild", f"project/{names.image_builder(CLUSTER)}"),))
LOGS = Scope(
    "Logs",
    (
        arn("logs", f"log-group:{names.log_groups(CLUSTER)}*"),
        arn("logs", f"log-group:{names.image_builder_log_group(CLUSTER)}*"),
    ),
)
CERTIFICATES = Scope("Certificates", (arn("acm", "certificate/*"),))
HOSTED_ZONES = Scope("HostedZones", (arn("route53", "hostedzone/*", region="", account=""),))
SECRETS = Scope("Secrets", (arn("secretsmanager", "secret:*"),))
OWN_SECRETS = Scope("OwnSecrets", SECRETS.arns, OWN)
NEW_SECRETS = Scope("NewSecrets", SECRETS.arns, {"StringEquals": {f"aws:RequestTag/{names.TAG_CLUSTER}": CLUSTER}})
POLICIES = Scope("Policies", (arn("iam", "policy/*", region=""), arn("iam", "policy/*", region="", account="aws")))
PARAMETERS = Scope("Parameters", (arn("ssm", "parameter/*"),))
PARAMETERS_OF_AWS = Scope("MachineImages", (arn("ssm", "parameter/aws/service/ecs/*", account=""),))

_CHANGES_STACKS = (
    "cloudformation:CreateChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:ContinueUpdateRollback",
)
_READS_STACKS = (
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeEvents",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResources",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
)

CALLS: tuple[Grant, ...] = (
    Grant(
        "every command finds the cluster, its APIs and splitters by their stacks",
        ("cloudformation:DescribeStacks",),
        ANYTHING,
    ),
    Grant("deploy, cluster up: what a change would do, how it goes, and why it failed", _READS_STACKS, OWN_STACKS),
    Grant(
        "deploy, delete: make, change, recover and delete the stacks of APIs and splitters",
        (*_CHANGES_STACKS, "cloudformation:CancelUpdateStack"),
        RESOURCE_STACKS,
    ),
    Grant("the stacks have tags", ("cloudformation:TagResource",), RESOURCE_STACKS, is_implied=True),
    Grant(
        "cluster up, configure, down: make, change, recover, protect and delete the cluster's stack",
        (*_CHANGES_STACKS, "cloudformation:UpdateTerminationProtection"),
        CLUSTER_STACK,
        deploys=False,
    ),
    Grant("the stack has tags", ("cloudformation:TagResource",), CLUSTER_STACK, deploys=False, is_implied=True),
    Grant(
        "cluster up, info, refresh: the newest machine images, which CloudFormation reads, too",
        ("ssm:GetParameters",),
        PARAMETERS_OF_AWS,
        deploys=False,
    ),
    Grant(
        "cluster refresh: replace instances one by one",
        ("autoscaling:StartInstanceRefresh", "autoscaling:TerminateInstanceInAutoScalingGroup"),
        GROUPS,
        deploys=False,
    ),
    Grant(
        "cluster refresh, info: which instances run, and what with",
        ("autoscaling:DescribeInstanceRefreshes", "ec2:DescribeInstances"),
        ANYTHING,
        deploys=False,
    ),
    Grant(
        "cluster up: are the instances members of the ECS cluster?",
        ("ecs:ListContainerInstances",),
        ECS_CLUSTER,
        deploys=False,
    ),
    Grant(
        "cluster up: are the instances members of the ECS cluster?",
        ("ecs:DescribeContainerInstances",),
        MEMBERS,
        deploys=False,
    ),
    Grant("completion: find the ECS cluster", ("ecs:DescribeClusters",), ECS_CLUSTER),
    Grant("deploy, get, cluster up: why no instance starts", ("autoscaling:DescribeScalingActivities",), ANYTHING),
    Grant(
        "deploy, get, refresh, delete: follow replicas, replace them, and change their number",
        ("ecs:DescribeServices", "ecs:UpdateService", "ecs:DescribeTasks"),
        SERVICES,
    ),
    Grant(
        "deploy --force, delete: give an update up",
        ("ecs:ListServiceDeployments", "ecs:StopServiceDeployment"),
        SERVICES,
    ),
    Grant("deploy, get: the replicas of an API", ("ecs:ListTasks",), ANYTHING),
    Grant(
        "deploy: which images are in use; get: revisions of replicas; cluster configure: which groups are in use",
        ("ecs:ListServices", "ecs:DescribeTaskDefinition"),
        ANYTHING,
    ),
    Grant(
        "deploy, get, cluster info: instances, and why there are none", ("ecs:DescribeCapacityProviders",), PROVIDERS
    ),
    Grant(
        "deploy, get, cluster info: instances, and why there are none",
        ("autoscaling:DescribeAutoScalingGroups",),
        ANYTHING,
    ),
    Grant(
        "cluster down, configure: end the instances of groups that go",
        ("autoscaling:UpdateAutoScalingGroup", "autoscaling:SetInstanceProtection"),
        GROUPS,
        deploys=False,
    ),
    Grant(
        "deploy, get: between which numbers an API is scaled, by what, and how it went",
        (
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:DescribeScalingActivities",
        ),
        ANYTHING,
    ),
    Grant(
        "deploy: change the numbers first where fewer replicas are wanted, and put them back",
        ("application-autoscaling:RegisterScalableTarget",),
        SCALABLE_TARGETS,
    ),
    Grant(
        "deploy, get, predict: address, rules and healthy targets of the load balancer",
        (
            "elasticloadbalancing:DescribeAccountLimits",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeTargetHealth",
        ),
        ANYTHING,
    ),
    Grant(
        "deploy, history, rollback, diff, export: write and read projects, build contexts, configurations and records "
        "of deployments; key: change the API keys",
        ("s3:GetObject", "s3:PutObject"),
        OBJECTS,
    ),
    Grant(
        "deploy: drop the oldest records, with what only they need; delete: drop an API's records",
        ("s3:DeleteObject",),
        RELEASES,
    ),
    Grant("deploy: an upload of several parts is broken off", ("s3:AbortMultipartUpload",), OBJECTS, is_implied=True),
    Grant("deploy: without it a missing object is forbidden rather than missing", ("s3:ListBucket",), BUCKET),
    Grant(
        "deploy: which images are there; delete those that nothing uses",
        ("ecr:ListImages", "ecr:BatchDeleteImage"),
        REPOSITORY,
    ),
    Grant("deploy: the digest of predictor.image, and which images are there", ("ecr:DescribeImages",), ANY_REPOSITORY),
    Grant(
        "deploy: build images",
        ("codebuild:StartBuild", "codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject"),
        BUILDER,
    ),
    Grant("logs, deploy: which log groups there are", ("logs:DescribeLogGroups",), ANYTHING),
    Grant("logs, deploy, get: records of replicas and of builds", ("logs:FilterLogEvents", "logs:GetLogEvents"), LOGS),
    Grant(
        "deploy, delete: note why a first deployment failed; remove the records of what is gone",
        ("logs:CreateLogStream", "logs:PutLogEvents", "logs:ListTagsForResource", "logs:DeleteLogGroup"),
        LOGS,
    ),
    Grant(
        "get, metrics: traffic, alarms",
        ("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "cloudwatch:ListMetrics"),
        ANYTHING,
    ),
    Grant("get: whether CloudWatch Logs answers; logs: the replicas that write", ("logs:DescribeLogStreams",), LOGS),
    Grant("predict: check a certificate that this machine does not know", ("acm:GetCertificate",), CERTIFICATES),
    Grant("deploy: is a policy of predictor.iam_policies there?", ("iam:GetPolicy",), POLICIES),
    Grant("deploy, secret: is a secret there?", ("secretsmanager:DescribeSecret",), SECRETS),
    Grant("deploy, secret: is a parameter there?", ("ssm:GetParameters",), PARAMETERS),
    Grant(
        "secret set, delete: secrets that were made for the cluster; deploy: have they the keys that are named?",
        (
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:RestoreSecret",
            "secretsmanager:DeleteSecret",
        ),
        OWN_SECRETS,
    ),
    Grant("secret set: a new secret for the cluster", ("secretsmanager:CreateSecret",), NEW_SECRETS),
    Grant("a new secret has tags", ("secretsmanager:TagResource",), NEW_SECRETS, is_implied=True),
    Grant("secret list: the secrets of the cluster", ("secretsmanager:ListSecrets",), ANYTHING),
    Grant("deploy: what instances have", ("ec2:DescribeInstanceTypes",), ANYTHING),
    Grant(
        "cluster up, configure: is the certificate issued?", ("acm:DescribeCertificate",), CERTIFICATES, deploys=False
    ),
    Grant(
        "cluster up, configure: the hosted zone of the domain, by its id",
        ("route53:GetHostedZone",),
        HOSTED_ZONES,
        deploys=False,
    ),
    Grant(
        "cluster up, configure: the hosted zone of the domain, by its name",
        ("route53:ListHostedZonesByName",),
        ANYTHING,
        deploys=False,
    ),
    Grant(
        "cluster up, configure: instance types, zones, subnets and quotas",
        (
            "ec2:DescribeAddresses",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInstanceTypeOfferings",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "servicequotas:GetServiceQuota",
        ),
        ANYTHING,
        deploys=False,
    ),
)

FREE = frozenset({"sts:GetCallerIdentity"})
"""Actions that need no permission (API reference of GetCallerIdentity)."""
