"""The stack of a cluster: everything that its APIs share. Other stacks need only its outputs."""

from __future__ import annotations

import json
from importlib.metadata import version

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from cortex_cdk import names
from cortex_cdk.config import Cluster
from cortex_cdk.synthesis.specs import ClusterStackSpec, provider_resources
from cortex_stacks.constructs.alarm_topic import notify
from cortex_stacks.constructs.balancer_alarm import BalancerAlarm
from cortex_stacks.constructs.cluster_dashboard import ClusterDashboard
from cortex_stacks.constructs.cortex_stack import CortexStack, tags_of
from cortex_stacks.constructs.domain import Domain
from cortex_stacks.constructs.image_builder import ImageBuilder
from cortex_stacks.constructs.instance_group import InstanceGroup
from cortex_stacks.constructs.instance_role import instance_role
from cortex_stacks.constructs.load_balancer import ClusterLoadBalancer
from cortex_stacks.constructs.network import Network
from cortex_stacks.constructs.permissions import acknowledge
from cortex_stacks.constructs.storage import cluster_bucket


class ClusterStack(CortexStack):
    """Network, load balancer, ECS cluster, instance groups, bucket, image repository and builder, dashboard.

    Args:
        spec: The configuration that the template is made from.
    """

    def __init__(self, scope: Construct, spec: ClusterStackSpec) -> None:
        cluster = spec.cluster
        super().__init__(
            scope,
            spec.stack_name,
            description=f"Cortex cluster {cluster.name}",
            tags=tags_of(cluster.name, names.CLUSTER_KIND),
            user_tags=cluster.tags,
            permissions_boundary=cluster.permissions_boundary,
        )
        self.termination_protection = True  # for the CDK's own toolkit; cortex_cdk.deploy sets it by itself
        # The next change of the cluster reads it. Tags are on the stack. JSON as text, because templates take no nulls.
        self.template_options.metadata = {
            names.CLUSTER_METADATA: cluster.model_dump_json(exclude={"tags"}, exclude_none=True),
        }
        network = Network(self, "Network", cluster)
        balancer = ClusterLoadBalancer(self, "Door", network=network, cluster=cluster, domain=self._domain(spec))
        ecs_cluster = self._ecs_cluster(cluster, network)
        self._instance_groups(cluster, network, balancer, ecs_cluster)
        bucket = cluster_bucket(self)
        images = ImageBuilder(self, "Images", cluster=cluster.name, bucket=bucket)
        dashboard = ClusterDashboard(
            self,
            "Dashboard",
            cluster=cluster.name,
            load_balancer=balancer.load_balancer.load_balancer_full_name,
        )
        alarm = BalancerAlarm(self, "BalancerAlarm", cluster=cluster.name, load_balancer=balancer.load_balancer)
        if cluster.alarm_topic:
            notify(cluster.alarm_topic, alarm.errors)
        self.output("VpcId", network.vpc.vpc_id, "VPC")
        self.output("EcsCluster", ecs_cluster.cluster_name, "ECS cluster")
        self._load_balancer_outputs(balancer)
        self.output("Bucket", bucket.bucket_name, "Bucket of project archives and build contexts")
        self.output("Repository", images.repository.repository_name, "ECR repository of the images")
        self.output("RepositoryArn", images.repository.repository_arn, "ECR repository of the images")
        self.output("RepositoryUri", images.repository.repository_uri, "ECR repository of the images")
        self.output("ImageBuilder", images.project.project_name, "CodeBuild project that builds images")
        self.output("Dashboard", dashboard.name, "CloudWatch dashboard")
        self._settings_outputs(spec)

    def _ecs_cluster(self, cluster: Cluster, network: Network) -> ecs.Cluster:
        ecs_cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=names.ecs_cluster(cluster.name),
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.DISABLED,
        )
        acknowledge(
            ecs_cluster, "AwsSolutions-ECS4", "billed by metric; the load balancer and the replicas publish their own"
        )
        return ecs_cluster

    def _instance_groups(
        self, cluster: Cluster, network: Network, balancer: ClusterLoadBalancer, ecs_cluster: ecs.Cluster
    ) -> None:
        role = instance_role(self, ecs_cluster, spot=any(group.spot for group in cluster.instance_groups))
        security_group = ec2.SecurityGroup(
            self,
            "InstanceSecurityGroup",
            vpc=network.vpc,
            description="Cortex instances",
        )
        balancer.admit_to(security_group)
        for group in cluster.instance_groups:
            instances = InstanceGroup(
                self,
                f"Group-{group.name}",
                cluster=cluster.name,
                group=group,
                network=network,
                role=role,
                security_group=security_group,
                public=cluster.subnet_visibility == "public",
            )
            ecs_cluster.add_asg_capacity_provider(instances.provider)

    def _load_balancer_outputs(self, balancer: ClusterLoadBalancer) -> None:
        itself = balancer.load_balancer
        self.output("LoadBalancerArn", itself.load_balancer_arn, "Load balancer")
        self.output("LoadBalancerFullName", itself.load_balancer_full_name, "LoadBalancer dimension of its metrics")
        self.output("ListenerArn", balancer.listener.listener_arn, "Listener that carries the rules")
        self.output("BaseUrl", balancer.base_url, "Scheme and host of the APIs")

    def _domain(self, spec: ClusterStackSpec) -> Domain | None:
        domain, zone = spec.cluster.domain, spec.cluster.hosted_zone
        if domain is None or zone is None:
            return None
        zone_id = spec.hosted_zone_id or spec.cluster.hosted_zone_id
        return Domain(self, "Domain", domain=domain, zone_id=zone_id, zone_name=zone)

    def _settings_outputs(self, spec: ClusterStackSpec) -> None:
        cluster = spec.cluster
        providers = [provider.model_dump() for provider in provider_resources(cluster)]
        self.output("Cluster", cluster.name, "Name of the cluster")
        self.output("Version", version("cortex-cdk"), "Version of cortex that made this template")
        self.output("LogRetentionDays", str(cluster.log_retention), "Days for which the logs of APIs are kept")
        self.output("IsPublic", str(cluster.load_balancer.is_public).lower(), "Whether everybody is let in")
        if cluster.domain:
            self.output("Domain", cluster.domain, "The domain that leads to the load balancer")
        if cluster.alarm_topic:
            self.output("AlarmTopic", cluster.alarm_topic, "SNS topic that alarms tell")
        if cluster.permissions_boundary:
            self.output("PermissionsBoundary", cluster.permissions_boundary, "Policy that bounds every role")
        if cluster.cloudformation_role:
            self.output("CloudformationRole", cluster.cloudformation_role, "Role that CloudFormation takes")
        self.output("Providers", json.dumps(providers), "Instance groups, in order")
        self.output(names.Output.SPEC_DIGEST, spec.digest, "Digest of everything that this template was made from")
