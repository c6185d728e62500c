"""The configurations that every stack is proven with: what users choose between, each at least once."""

from __future__ import annotations

from typing import Any

from cortex_cdk.config import Cluster, RealtimeApi, TrafficSplitter
from cortex_cdk.synthesis.placeholders import placeholder_resources, placeholder_target_groups
from cortex_cdk.synthesis.specs import ApiStackSpec, ClusterStackSpec, SplitterStackSpec, StackSpec

TOPIC = "arn:aws:sns:us-east-1:111111111111:alarms"
CERTIFICATE = "arn:aws:acm:us-east-1:111111111111:certificate/12345678-1234-1234-1234-123456789012"
MANAGED_POLICY = "arn:aws:iam::111111111111:policy/team/features"
BOUNDARY = "arn:aws:iam::111111111111:policy/boundary"
ROLE = "arn:aws:iam::111111111111:role/cloudformation"
VPC = "vpc-0123456789abcdef0"
PUBLIC = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
PRIVATE = ["subnet-0123456789abcdef2", "subnet-0123456789abcdef3", "subnet-0123456789abcdef4"]
CPU = {"name": "cpu", "instance_types": ["m6i.large"]}
GPU = {"name": "gpu", "instance_types": ["g4dn.xlarge"]}
INF = {"name": "inf", "instance_types": ["inf1.xlarge"]}
SPOT = {
    "name": "spot",
    "instance_types": ["g5.xlarge", "g6.xlarge"],
    "spot": {"on_demand_base": 1, "on_demand_percentage": 20, "max_price": 0.7},
    "volume": {"size": 200, "type": "gp3", "iops": 6000},
}

CLUSTERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "private": {
        "subnet_visibility": "private",
        "nat_gateway": "highly_available",
        "availability_zones": ["us-east-1a", "us-east-1b", "us-east-1c"],
        "load_balancer": {"scheme": "internal"},
        "tags": {"team": "vision"},
    },
    "tls": {
        "load_balancer": {"certificate_arn": CERTIFICATE, "allowed_cidrs": ["203.0.113.0/24", "2001:db8::/32"]},
        "subnet_visibility": "private",
    },
    "domain": {"domain": "api.example.com", "hosted_zone": "Z0123456789ABCDEFGHIJ"},
    "types": {"instance_groups": [{"name": "cpu", "instance_types": ["m6i.large", "m5.large"]}, GPU, INF, SPOT]},
    "existing": {"vpc": {"id": VPC, "public_subnets": PUBLIC}},
    "hidden": {
        "vpc": {"id": VPC, "private_subnets": PRIVATE},
        "subnet_visibility": "private",
        "load_balancer": {"scheme": "internal"},
    },
    "gpu-only": {"instance_groups": [GPU], "log_retention": 7, "alarm_topic": TOPIC},
    "bound": {"permissions_boundary": BOUNDARY, "cloudformation_role": ROLE},
}

PREDICTOR = {"type": "python", "path": "predictor.py"}
APIS: dict[str, dict[str, Any]] = {
    "plain": {},
    "large": {"compute": {"cpu": "1500m", "mem": "3Gi"}},
    "gpu": {"compute": {"cpu": 2, "mem": "8Gi", "gpu": 1}, "update_strategy": {"max_surge": 0, "max_unavailable": 1}},
    "inf": {"compute": {"cpu": 1, "mem": "2Gi", "inf": 1}},
    "shared-memory": {"predictor": {**PREDICTOR, "shm_size": "64Mi", "startup_timeout": "25m"}},
    "env": {"predictor": {**PREDICTOR, "env": {"MODE": "fast"}, "config": {"threshold": 0.5}}},
    "permissions": {
        "predictor": {
            **PREDICTOR,
            "iam_policies": [
                "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
                MANAGED_POLICY,
                {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "arn:aws:dynamodb:*:*:table/features"},
                {
                    "Sid": "OwnFolder",
                    "Effect": "Deny",
                    "NotAction": ["s3:Get*", "s3:List*"],
                    "Resource": ["arn:aws:s3:::features", "arn:aws:s3:::features/${aws:PrincipalTag/team}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        },
    },
    "secrets": {
        "predictor": {
            **PREDICTOR,
            "secrets": {
                "TOKEN": "my-secret",
                "PASSWORD": "prod/db:password",
                "USER": {"secret": "prod/db", "key": "user"},
                "PARAMETER": "ssm:/models/token",
                "ELSEWHERE": "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shared-AbCdEf:key:AWSPREVIOUS:",
            },
        }
    },
    "own-image": {
        "predictor": {**PREDICTOR, "image": "222222222222.dkr.ecr.eu-west-1.amazonaws.com/team/model:1"},
    },
    "models": {
        "predictor": {
            "type": "onnx",
            "path": "predictor.py",
            "models": {
                "paths": [
                    {"name": "a", "model_path": "s3://models/a.onnx"},
                    {"name": "b", "model_path": "s3://models/b/"},
                ]
            },
        },
        "networking": {"endpoint": "/models/v1"},
        "monitoring": {"model_type": "classification", "key": "label"},
    },
    "scaled": {
        "predictor": {**PREDICTOR, "processes_per_replica": 2, "threads_per_process": 4},
        "autoscaling": {
            "min_replicas": 2,
            "max_replicas": 8,
            "init_replicas": 3,
            "target_replica_concurrency": 6.5,
            "target_replica_requests_per_second": 2.5,
            "downscale_stabilization_period": "10m",
            "upscale_stabilization_period": "30s",
        },
    },
}

JWT = {
    "issuer": "https://login.example.com/",
    "jwks": "https://login.example.com/.well-known/jwks.json",
    "claims": {"aud": "models", "scope": ["predict", "read"], "groups": ["a", "b"]},
}
APIS["keys"] = {"networking": {"auth": "api_key", "cors": ["https://app.example.com"]}}
APIS["tokens"] = {"networking": {"auth": {"jwt": JWT}}}

SPLITTERS: dict[str, list[tuple[str, int]]] = {
    "two": [("plain", 90), ("large", 10)],
    "five": [("plain", 20), ("large", 20), ("gpu", 20), ("env", 40), ("scaled", 0)],
}
PRIORITY = 20_000


def cluster_spec(name: str) -> ClusterStackSpec:
    """The specification of a cluster of the matrix."""
    return ClusterStackSpec(cluster=Cluster.model_validate({"name": name, **CLUSTERS[name]}))


def api_spec(name: str, cluster: str = "types", **changes: Any) -> ApiStackSpec:
    """The specification of an API of the matrix, on a cluster that has what it needs."""
    data = {"name": name, "kind": "RealtimeAPI", "predictor": PREDICTOR, **APIS[name], **changes}
    resources = placeholder_resources(cluster_spec(cluster).cluster)
    return ApiStackSpec(cluster=resources, api=RealtimeApi.model_validate(data), priority=PRIORITY)


def splitter_spec(name: str, cluster: str = "types", **changes: Any) -> SplitterStackSpec:
    """The specification of a splitter of the matrix."""
    apis = [{"name": api, "weight": weight} for api, weight in SPLITTERS[name]]
    splitter = TrafficSplitter.model_validate({"name": name, "kind": "TrafficSplitter", "apis": apis, **changes})
    home = cluster_spec(cluster).cluster
    return SplitterStackSpec(
        cluster=placeholder_resources(home),
        splitter=splitter,
        priority=PRIORITY,
        target_groups=placeholder_target_groups(home.region, splitter),
    )


def every_spec() -> list[StackSpec]:
    """Everything."""
    return [*map(cluster_spec, CLUSTERS), *map(api_spec, APIS), *map(splitter_spec, SPLITTERS)]
