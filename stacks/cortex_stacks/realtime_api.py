"""The stack of one Realtime API: everything that belongs to this API alone.

Parameters carry the values that change with every deployment (project, image, revision, counts), so that new code needs
a change set but no new template. Construct ids never contain the API's name, which the stack's name has already.
"""

from __future__ import annotations

import math

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_logs as logs
from constructs import Construct
from cortex_serving.contract import PORT

from cortex_cdk import names
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.names import Output, Parameter
from cortex_cdk.synthesis.specs import ApiStackSpec
from cortex_stacks.constructs.alarm_topic import notify
from cortex_stacks.constructs.cortex_stack import CortexStack, tags_of
from cortex_stacks.constructs.replica_alarms import ReplicaAlarms
from cortex_stacks.constructs.replica_scaling import scale_with_load
from cortex_stacks.constructs.replica_task import CONTAINER, ReplicaTask
from cortex_stacks.constructs.routing import endpoint_rule
from cortex_stacks.constructs.target_group import replica_target_group

# Seconds beyond ``predictor.startup_timeout`` in which failing health checks mean nothing yet: a replica that is ready
# in time has two checks to pass, and one that is not says itself why it ends.
GRACE_BEYOND_S = 30
# One failure may be an instance's. By default ECS wants three, for each of which a replica that hangs takes the whole
# grace period. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
FAILED_REPLICAS_TO_GIVE_UP = 2


class RealtimeApiStack(CortexStack):
    """Task definition, service, target group, listener rule, scaling, log group and alarms of one API.

    Args:
        spec: The API and the cluster's resources that the template is made from.
    """

    def __init__(self, scope: Construct, spec: ApiStackSpec) -> None:
        cluster, api = spec.cluster, spec.api
        super().__init__(
            scope,
            spec.stack_name,
            description=f"Cortex Realtime API {api.name} in cluster {cluster.cluster}",
            tags=tags_of(cluster.cluster, api.kind, api.name),
            user_tags=cluster.tags,
            permissions_boundary=cluster.permissions_boundary,
        )
        vpc = ec2.Vpc.from_vpc_attributes(self, "Vpc", vpc_id=cluster.vpc_id, availability_zones=["any"])
        log_group = self._log_group(spec)
        task = ReplicaTask(
            self,
            "Task",
            spec,
            image=self._text(Parameter.IMAGE, "Reference of the image that replicas run"),
            project_key=self._text(Parameter.PROJECT_KEY, "Key of the project archive in the cluster's bucket"),
            revision=self._text(Parameter.REVISION, "The version of the API"),
            endpoint=self._text(Parameter.REPLICA_ENDPOINT, "The API's path when its replicas were last replaced"),
        )
        target_group = replica_target_group(self, "Targets", vpc)
        rule = endpoint_rule(
            self,
            cluster=cluster,
            endpoint=api.networking.endpoint,
            priority=spec.priority,
            action=elb.ListenerAction.forward([target_group]),
            auth=api.networking.auth,
        )
        alarms = ReplicaAlarms(
            self,
            "Alarms",
            cluster=cluster.cluster,
            api=api.name,
            target_group=target_group,
            least_healthy=_least_healthy(api),
            minutes_to_load=math.ceil(api.predictor.startup_timeout / 60),
        )
        if cluster.alarm_topic:
            notify(cluster.alarm_topic, alarms.errors, alarms.unhealthy)
        service = self._service(spec, vpc, task, target_group)
        # ECS refuses a target group without a rule; a replica needs its image and its log group from its first second.
        service.node.add_dependency(rule, task.execution_role, task.permissions, log_group, alarms)
        scale_with_load(service, cluster.cluster, api, target_group)
        self._outputs(spec, service, target_group)

    def _text(self, name: str, description: str) -> str:
        return cdk.CfnParameter(self, name, description=description).value_as_string

    def _log_group(self, spec: ApiStackSpec) -> logs.CfnLogGroup:
        group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=names.log_group(spec.cluster.cluster, spec.api.name),
            retention_in_days=spec.cluster.log_retention_days,
        )
        # A first deployment that fails takes the stack along, and its records say why. Whoever deletes the API, or
        # makes the API anew, removes the group, whose name is fixed (``cortex_cdk.log_groups``).
        group.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        return group

    def _service(
        self, spec: ApiStackSpec, vpc: ec2.IVpc, task: ReplicaTask, target_group: elb.ApplicationTargetGroup
    ) -> ecs.Ec2Service:
        cluster = spec.cluster
        ecs_cluster = ecs.Cluster.from_cluster_attributes(
            self, "Cluster", cluster_name=cluster.ecs_cluster, vpc=vpc, security_groups=[]
        )
        service = ecs.Ec2Service(
            self,
            "Service",
            service_name=names.service(spec.api.name),
            cluster=ecs_cluster,
            task_definition=task.definition,
            capacity_provider_strategies=[
                ecs.CapacityProviderStrategy(capacity_provider=spec.provider.capacity_provider, weight=1)
            ],
            placement_strategies=[
                ecs.PlacementStrategy.spread_across(ecs.BuiltInAttributes.AVAILABILITY_ZONE),
                ecs.PlacementStrategy.packed_by_memory(),
            ],
            # ECS does not count Inferentia chips, so two replicas on an instance would share one.
            placement_constraints=[ecs.PlacementConstraint.distinct_instances()] if spec.api.compute.inf else None,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=[names.alarm(cluster.cluster, spec.api.name, names.ERRORS)],
                behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM,
            ),
            health_check_grace_period=cdk.Duration.seconds(_grace(spec.api)),
            # ECS refuses rebalancing with a maximum of 100 percent (max_surge: 0).
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.DISABLED,
            min_healthy_percent=0,
            max_healthy_percent=200,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            enable_ecs_managed_tags=True,
        )
        target_group.add_target(service.load_balancer_target(container_name=CONTAINER, container_port=PORT))
        self._set_counts(service)
        return service

    def _set_counts(self, service: ecs.Ec2Service) -> None:
        """Set the counts of a deployment, mostly by parameters: the construct takes numbers only, and no threshold."""
        minimum = cdk.CfnParameter(self, Parameter.MINIMUM_HEALTHY_PERCENT, type="Number", min_value=0, max_value=100)
        maximum = cdk.CfnParameter(self, Parameter.MAXIMUM_PERCENT, type="Number", min_value=100)
        initial = cdk.CfnParameter(
            self, Parameter.INITIAL_REPLICAS, description="Replicas to start with; empty leaves the count alone"
        )
        given = cdk.CfnCondition(
            self,
            "HasInitialReplicas",
            expression=cdk.Fn.condition_not(cdk.Fn.condition_equals(initial.value_as_string, "")),
        )
        resource = service.node.find_child("Service")
        assert isinstance(resource, ecs.CfnService)
        resource.add_property_override(
            "DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration",
            {"Type": "COUNT", "Value": FAILED_REPLICAS_TO_GIVE_UP},
        )
        resource.add_property_override("DeploymentConfiguration.MinimumHealthyPercent", {"Ref": minimum.logical_id})
        resource.add_property_override("DeploymentConfiguration.MaximumPercent", {"Ref": maximum.logical_id})
        resource.add_property_override(
            "DesiredCount",
            cdk.Fn.condition_if(given.logical_id, initial.value_as_string, cdk.Aws.NO_VALUE),
        )

    def _outputs(self, spec: ApiStackSpec, service: ecs.Ec2Service, target_group: elb.ApplicationTargetGroup) -> None:
        self.output(Output.TARGET_GROUP_ARN, target_group.target_group_arn, "Target group of the replicas")
        self.output(
            Output.TARGET_GROUP_FULL_NAME, target_group.target_group_full_name, "TargetGroup dimension of its metrics"
        )
        self.output(Output.SERVICE_NAME, service.service_name, "ECS service")
        self.output(Output.ENDPOINT, spec.api.networking.endpoint, "Path on the cluster's load balancer")
        self.output(Output.LISTENER_RULE_PRIORITY, str(spec.priority), "Priority of the listener rule")
        strategy = spec.api.update_strategy.model_dump_json()
        self.output(Output.UPDATE_STRATEGY, strategy, "How to replace replicas later")
        self.output_auth(spec.api.networking.auth)
        self.output(Output.SPEC_DIGEST, spec.digest, "Digest of everything that this template was made from")


def _grace(api: RealtimeApi) -> int:
    return math.ceil(api.predictor.startup_timeout) + GRACE_BEYOND_S


def _least_healthy(api: RealtimeApi) -> int:
    """Return how many replicas an update leaves healthy when the API has its minimum; ECS rounds up."""
    least = api.autoscaling.min_replicas
    return max(1, -(-least * api.update_strategy.percentages(least).minimum_healthy // 100))
