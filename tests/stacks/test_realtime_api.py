"""The template of an API: one test for each decision of the reference (aws.md) that it relies on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template
from cortex_stacks.app import add_stack, make_app

from tests.stacks.matrix import APIS, BOUNDARY, PRIORITY, TOPIC, api_spec, cluster_spec
from tests.stacks.synthesized import template_of
from tests.stacks.test_replica_threads import THREADS

Synthesized = Callable[[str], Template]


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    app = make_app(str(tmp_path_factory.mktemp("cdk.out")))
    stacks = {name: add_stack(app, api_spec(name)) for name in APIS}
    templates = {name: Template.from_stack(stack) for name, stack in stacks.items()}
    return templates.__getitem__


def properties(template: Template, kind: str) -> dict[str, Any]:
    """The properties of the only resource of that type."""
    [resource] = template.find_resources(kind).values()
    found: dict[str, Any] = resource["Properties"]
    return found


def container(template: Template) -> dict[str, Any]:
    [definition] = properties(template, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    found: dict[str, Any] = definition
    return found


def environment(template: Template) -> dict[str, Any]:
    return {variable["Name"]: variable["Value"] for variable in container(template)["Environment"]}


def statements(template: Template, role: str) -> list[dict[str, Any]]:
    policies = template.find_resources("AWS::IAM::Policy")
    [policy, *_] = [p["Properties"] for name, p in sorted(policies.items()) if role in name]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


# Task definition


def test_many_replicas_share_an_instance_by_dynamic_host_ports(synthesized: Synthesized) -> None:
    task = properties(synthesized("plain"), "AWS::ECS::TaskDefinition")
    assert (task["NetworkMode"], task["RequiresCompatibilities"]) == ("bridge", ["EC2"])
    assert container(synthesized("plain"))["PortMappings"] == [
        {"ContainerPort": 8888, "HostPort": 0, "Protocol": "tcp"}
    ]


def test_the_container_contract(synthesized: Synthesized) -> None:
    variables = environment(synthesized("env"))
    before, parameter, after = variables.pop("CORTEX_SPEC")["Fn::Join"][1]
    assert parameter == {"Ref": "ReplicaEndpoint"}
    spec = json.loads(f"{before}/env{after}")
    assert spec["endpoint"] == "/env"
    assert variables == {
        "MODE": "fast",
        **dict.fromkeys(THREADS, "1"),
        "AWS_REGION": {"Ref": "AWS::Region"},
        "AWS_DEFAULT_REGION": {"Ref": "AWS::Region"},
        "CORTEX_API": "env",
        "CORTEX_BASE_URL": api_spec("env").cluster.base_url,
        "CORTEX_CLUSTER": "types",
        "CORTEX_LISTEN": "0.0.0.0:8888",
        "CORTEX_LOG_GROUP": "/cortex/types/env",
        "CORTEX_PROJECT": {"Fn::Join": ["", [f"s3://{api_spec('env').cluster.bucket}/", {"Ref": "ProjectKey"}]]},
        "CORTEX_REVISION": {"Ref": "Revision"},
        "CORTEX_STOP_TIMEOUT": "60",
    }
    assert spec["name"] == "env"
    assert spec["max_replica_concurrency"] == 1024
    assert spec["monitoring"] is None
    assert spec["predictor"]["config"] == {"threshold": 0.5}
    assert spec["predictor"]["threads_per_process"] == 1
    assert "env" not in spec["predictor"]
    assert container(synthesized("env"))["Command"] == ["cortex-serve"]
    assert container(synthesized("env"))["Image"] == {"Ref": "Image"}


def test_the_container_name_and_port_are_those_of_the_service(synthesized: Synthesized) -> None:
    [target] = properties(synthesized("plain"), "AWS::ECS::Service")["LoadBalancers"]
    assert (target["ContainerName"], target["ContainerPort"]) == (container(synthesized("plain"))["Name"], 8888)


@pytest.mark.parametrize(
    ("api", "cpu", "hard", "soft"),
    [("plain", 205, None, 512), ("large", 1536, 3072, None), ("gpu", 2048, 8192, None)],
)
def test_memory_is_a_limit_only_where_asked_for(
    synthesized: Synthesized, api: str, cpu: int, hard: int | None, soft: int | None
) -> None:
    definition = container(synthesized(api))
    assert (definition["Cpu"], definition.get("Memory"), definition.get("MemoryReservation")) == (cpu, hard, soft)


def test_a_gpu_is_required_only_where_asked_for(synthesized: Synthesized) -> None:
    assert container(synthesized("gpu"))["ResourceRequirements"] == [{"Type": "GPU", "Value": "1"}]
    assert "ResourceRequirements" not in container(synthesized("plain"))


def test_inferentia_is_a_device_and_has_its_instance_alone(synthesized: Synthesized) -> None:
    [device] = container(synthesized("inf"))["LinuxParameters"]["Devices"]
    assert device["HostPath"] == device["ContainerPath"] == "/dev/neuron0"
    service = properties(synthesized("inf"), "AWS::ECS::Service")
    assert service["PlacementConstraints"] == [{"Type": "distinctInstance"}]
    assert "PlacementConstraints" not in properties(synthesized("plain"), "AWS::ECS::Service")


def test_the_process_gets_signals_shared_memory_and_files(synthesized: Synthesized) -> None:
    definition = container(synthesized("plain"))
    assert definition["LinuxParameters"] == {
        "Capabilities": {"Drop": ["ALL"]},
        "InitProcessEnabled": True,
        "SharedMemorySize": 1024,
    }
    assert container(synthesized("shared-memory"))["LinuxParameters"]["SharedMemorySize"] == 64
    assert definition["Ulimits"] == [{"Name": "nofile", "SoftLimit": 65536, "HardLimit": 65536}]
    assert definition["StopTimeout"] == 60


def test_logs_reach_cloudwatch_once(synthesized: Synthesized) -> None:
    """The replica ships them; the driver keeps a rotated copy on the instance."""
    assert container(synthesized("plain"))["LogConfiguration"] == {
        "LogDriver": "json-file",
        "Options": {"max-size": "10m", "max-file": "3"},
    }
    [resource] = synthesized("plain").find_resources("AWS::Logs::LogGroup").values()
    group = resource["Properties"]
    assert (group["LogGroupName"], group["RetentionInDays"]) == ("/cortex/types/plain", 30)


def test_records_outlive_a_first_deployment_that_fails(synthesized: Synthesized) -> None:
    """By the tags, whoever deletes the API knows the group as the API's."""
    [group] = synthesized("plain").find_resources("AWS::Logs::LogGroup").values()
    assert group["DeletionPolicy"] == "Retain"
    tags = {tag["Key"]: tag["Value"] for tag in group["Properties"]["Tags"]}
    assert (tags["cortex:cluster"], tags["cortex:api"]) == ("types", "plain")


# Roles


def test_the_execution_role_pulls_the_image_and_nothing_else(synthesized: Synthesized) -> None:
    pull, login = statements(synthesized("plain"), "ExecutionRole")
    assert pull["Action"] == ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    assert pull["Resource"] == api_spec("plain").cluster.repository_arn
    assert (login["Action"], login["Resource"]) == ("ecr:GetAuthorizationToken", "*")


def test_the_execution_role_pulls_the_users_own_image(synthesized: Synthesized) -> None:
    pull, _ = statements(synthesized("own-image"), "ExecutionRole")
    assert "222222222222:repository/team/model" in json.dumps(pull["Resource"])


def test_the_task_role_reads_its_own_projects_and_writes_its_log(synthesized: Synthesized) -> None:
    read, write = statements(synthesized("plain"), "TaskAccess")
    bucket = api_spec("plain").cluster.bucket
    assert read["Action"] == "s3:GetObject"
    assert read["Resource"]["Fn::Join"][1][-1] == f":s3:::{bucket}/projects/plain/*"
    assert write["Action"] == ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    assert [arn["Fn::Join"][1][-1] for arn in write["Resource"]] == [
        ":log-group:/cortex/types/plain",
        ":log-group:/cortex/types/plain:*",
    ]


def test_the_task_role_reads_models_by_their_prefix(synthesized: Synthesized) -> None:
    granted = statements(synthesized("models"), "TaskAccess")
    [lists] = [statement for statement in granted if statement["Action"] == "s3:ListBucket"]
    assert lists["Condition"]["StringLike"]["s3:prefix"] == ["a.onnx", "a.onnx/*", "b", "b/*"]
    [reads] = [statement for statement in granted if statement["Action"] == "s3:GetObject"]
    models = [":s3:::models/a.onnx", ":s3:::models/a.onnx/*", ":s3:::models/b", ":s3:::models/b/*"]
    assert [arn["Fn::Join"][1][-1] for arn in reads["Resource"]][1:] == models


def test_the_task_role_decrypts_models_only_for_s3_and_only_these_buckets(synthesized: Synthesized) -> None:
    [decrypt] = [one for one in statements(synthesized("models"), "TaskAccess") if one["Action"] == "kms:Decrypt"]
    condition = decrypt["Condition"]["StringLike"]
    assert condition["kms:ViaService"] == {"Fn::Join": ["", ["s3.*.", {"Ref": "AWS::URLSuffix"}]]}
    contexts = [arn["Fn::Join"][1][-1] for arn in condition["kms:EncryptionContext:aws:s3:arn"]]
    # The bucket itself is the context where the bucket has a key of its own.
    assert contexts == [":s3:::models", ":s3:::models/*"]
    assert "kms" not in json.dumps(statements(synthesized("plain"), "TaskAccess"))


@pytest.mark.parametrize("api", APIS)
def test_only_ecs_takes_the_roles_and_only_for_this_account(synthesized: Synthesized, api: str) -> None:
    for role in synthesized(api).find_resources("AWS::IAM::Role").values():
        [trust] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        source = trust["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1]
        assert [source[2], source[-2:]] == [":ecs:", [{"Ref": "AWS::AccountId"}, ":*"]]


def test_what_the_user_allows_is_attached_as_it_is_written(synthesized: Synthesized) -> None:
    template, written = synthesized("permissions"), APIS["permissions"]["predictor"]["iam_policies"]
    roles = template.find_resources("AWS::IAM::Role")
    [task] = [role["Properties"] for name, role in roles.items() if "TaskRole" in name]
    [execution] = [role["Properties"] for name, role in roles.items() if "ExecutionRole" in name]
    assert task["ManagedPolicyArns"] == written[:2]
    assert "ManagedPolicyArns" not in execution
    assert statements(template, "TaskAccessStatements") == written[2:]
    [service] = template.find_resources("AWS::ECS::Service").values()
    assert any("TaskAccessStatements" in name for name in service["DependsOn"])


def test_a_change_of_permissions_restarts_no_replica(synthesized: Synthesized) -> None:
    plain, permissions = environment(synthesized("plain")), environment(synthesized("permissions"))
    same = json.loads(json.dumps(permissions["CORTEX_SPEC"]).replace("permissions", "plain"))
    assert same == plain["CORTEX_SPEC"]


def test_no_program_in_the_container_gains_privileges(synthesized: Synthesized) -> None:
    assert container(synthesized("plain"))["DockerSecurityOptions"] == ["no-new-privileges"]


@pytest.mark.parametrize("api", sorted(APIS.keys() - {"permissions"}))
def test_no_role_has_managed_policies_or_wildcard_actions(synthesized: Synthesized, api: str) -> None:
    template = synthesized(api)
    for role in template.find_resources("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]
    for policy in template.find_resources("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert "*" not in json.dumps(statement["Action"])


# Routing


def test_the_target_group_checks_readiness_on_the_port_of_each_replica(synthesized: Synthesized) -> None:
    group = properties(synthesized("plain"), "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert group["TargetType"] == "instance"
    assert (group["HealthCheckPath"], group["HealthCheckPort"]) == ("/readyz", "traffic-port")
    assert (group["HealthCheckIntervalSeconds"], group["HealthyThresholdCount"]) == (5, 2)
    attributes = {attribute["Key"]: attribute["Value"] for attribute in group["TargetGroupAttributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "60"
    assert attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"
    assert "Name" not in group


def test_the_rule_takes_the_endpoint_and_everything_below_it(synthesized: Synthesized) -> None:
    rule = properties(synthesized("models"), "AWS::ElasticLoadBalancingV2::ListenerRule")
    [condition] = rule["Conditions"]
    assert condition["PathPatternConfig"]["Values"] == ["/models/v1", "/models/v1/*"]
    assert rule["Priority"] == PRIORITY
    assert rule["ListenerArn"] == api_spec("models").cluster.listener_arn


# Service


def test_the_service_waits_for_what_it_needs(synthesized: Synthesized) -> None:
    """ECS refuses a target group without a rule; the alarm it names must exist; roles need their policies."""
    [service] = synthesized("plain").find_resources("AWS::ECS::Service").values()
    needed = " ".join(service["DependsOn"])
    for name in ("Rule", "AlarmsErrors", "Logs", "TaskAccessPolicy", "ExecutionRoleDefaultPolicy"):
        assert name in needed


@pytest.mark.parametrize(("api", "group"), [("plain", "cpu"), ("gpu", "gpu"), ("inf", "inf")])
def test_the_service_uses_the_capacity_provider_of_its_kind(synthesized: Synthesized, api: str, group: str) -> None:
    service = properties(synthesized(api), "AWS::ECS::Service")
    assert service["CapacityProviderStrategy"] == [{"CapacityProvider": f"cortex-types_{group}", "Weight": 1}]
    assert "LaunchType" not in service
    # UpdateService starts no deployment for another strategy, but for another task definition.
    assert container(synthesized(api))["DockerLabels"] == {"cortex.instance-group": group}


def test_deployments_take_their_bounds_from_parameters_and_roll_back(synthesized: Synthesized) -> None:
    service = properties(synthesized("plain"), "AWS::ECS::Service")
    assert service["DeploymentConfiguration"] == {
        "Alarms": {"AlarmNames": ["cortex/types/plain/errors"], "Enable": True, "Rollback": True},
        "DeploymentCircuitBreaker": {
            "Enable": True,
            "Rollback": True,
            "ThresholdConfiguration": {"Type": "COUNT", "Value": 2},
        },
        "MaximumPercent": {"Ref": "MaximumPercent"},
        "MinimumHealthyPercent": {"Ref": "MinimumHealthyPercent"},
    }
    assert "DeploymentController" not in service
    # The default of the API, ENABLED, is refused together with a maximum of 100 %.
    assert service["AvailabilityZoneRebalancing"] == "DISABLED"
    assert service["HealthCheckGracePeriodSeconds"] == 630


def test_the_desired_count_is_set_only_on_request(synthesized: Synthesized) -> None:
    template = synthesized("plain")
    service = properties(template, "AWS::ECS::Service")
    assert service["DesiredCount"] == {
        "Fn::If": ["HasInitialReplicas", {"Ref": "InitialReplicas"}, {"Ref": "AWS::NoValue"}]
    }
    template.has_condition("HasInitialReplicas", {"Fn::Not": [{"Fn::Equals": [{"Ref": "InitialReplicas"}, ""]}]})


def test_the_parameters_are_those_of_the_deployer(synthesized: Synthesized) -> None:
    parameters = synthesized("plain").to_json()["Parameters"]
    assert {name: parameter["Type"] for name, parameter in parameters.items()} == {
        "Image": "String",
        "InitialReplicas": "String",
        "MaximumPercent": "Number",
        "MinimumHealthyPercent": "Number",
        "ProjectKey": "String",
        "ReplicaEndpoint": "String",
        "Revision": "String",
    }


# Alarms and outputs


def test_alarms_have_fixed_names_and_are_quiet_without_requests(synthesized: Synthesized) -> None:
    alarms = [alarm["Properties"] for alarm in synthesized("plain").find_resources("AWS::CloudWatch::Alarm").values()]
    assert {alarm["AlarmName"] for alarm in alarms} == {"cortex/types/plain/errors", "cortex/types/plain/unhealthy"}
    assert {alarm["TreatMissingData"] for alarm in alarms} == {"notBreaching"}


def test_a_model_that_loads_slowly_wakes_nobody(synthesized: Synthesized) -> None:
    """A replica that loads fails its health check for up to ten minutes; an update leaves enough others."""
    alarms = [found["Properties"] for found in synthesized("scaled").find_resources("AWS::CloudWatch::Alarm").values()]
    [unhealthy] = [alarm for alarm in alarms if alarm["AlarmName"].endswith("/unhealthy")]
    assert unhealthy["EvaluationPeriods"] == 15
    [expression] = [query["Expression"] for query in unhealthy["Metrics"] if "Expression" in query]
    assert expression == "IF(healthy < 2, unhealthy, 0)"


def test_the_time_to_start_is_that_of_the_api(synthesized: Synthesized) -> None:
    """Health checks count a little later than the replica gives up by itself."""
    template = synthesized("shared-memory")
    assert properties(template, "AWS::ECS::Service")["HealthCheckGracePeriodSeconds"] == 25 * 60 + 30
    alarms = [found["Properties"] for found in template.find_resources("AWS::CloudWatch::Alarm").values()]
    assert [alarm["EvaluationPeriods"] for alarm in alarms if alarm["AlarmName"].endswith("/unhealthy")] == [30]


def test_alarms_tell_the_topic_of_the_cluster(tmp_path: Path) -> None:
    template = template_of(api_spec("plain", cluster="gpu-only"), tmp_path)
    alarms = [alarm["Properties"] for alarm in template.find_resources("AWS::CloudWatch::Alarm").values()]
    assert [(alarm["AlarmActions"], alarm["OKActions"]) for alarm in alarms] == [([TOPIC], [TOPIC])] * 2


def test_every_role_has_the_boundary_of_the_cluster(tmp_path: Path) -> None:
    template = template_of(api_spec("plain", cluster="bound"), tmp_path)
    roles = template.find_resources("AWS::IAM::Role").values()
    assert len(roles) == 2
    assert {role["Properties"].get("PermissionsBoundary") for role in roles} == {BOUNDARY}


def test_the_outputs(synthesized: Synthesized) -> None:
    outputs = synthesized("models").to_json()["Outputs"]
    assert set(outputs) == {
        "Endpoint",
        "ListenerRulePriority",
        "ServiceName",
        "SpecDigest",
        "UpdateStrategy",
        "TargetGroupArn",
        "TargetGroupFullName",
    }
    assert outputs["Endpoint"]["Value"] == "/models/v1"
    assert outputs["ListenerRulePriority"]["Value"] == str(PRIORITY)
    assert outputs["SpecDigest"]["Value"] == api_spec("models").digest


# What changes restart replicas


@pytest.mark.parametrize(
    "changes",
    [
        {"autoscaling": {"min_replicas": 3, "max_replicas": 5}},
        {"update_strategy": {"max_surge": 0, "max_unavailable": 1}},
        {"networking": {"endpoint": "/elsewhere"}},
    ],
)
def test_scaling_updates_and_networking_leave_the_task_definition_alone(
    tmp_path_factory: pytest.TempPathFactory, synthesized: Synthesized, changes: dict[str, Any]
) -> None:
    changed = template_of(api_spec("plain", **changes), tmp_path_factory.mktemp("cdk.out"))
    kind = "AWS::ECS::TaskDefinition"
    assert changed.find_resources(kind) == synthesized("plain").find_resources(kind)


def test_an_api_without_accelerator_runs_on_gpu_instances_if_there_are_no_others() -> None:
    assert [group.name for group in cluster_spec("gpu-only").cluster.instance_groups] == ["gpu"]
    assert api_spec("plain", cluster="gpu-only").provider.group == "gpu"
