"""What checkov finds in our templates and we accept, each with its reason: see ``test_checkov``."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """A finding that is accepted.

    Attributes:
        rule: Id of the rule, such as ``CKV_AWS_18``.
        resource: Type and beginning of the logical id of the resources that it is accepted for.
    """

    rule: str
    resource: str


ACCEPTED: dict[Finding, str] = {
    Finding("CKV_AWS_2", "AWS::ElasticLoadBalancingV2::Listener.DoorLoadBalancerHttp"): (
        "HTTP only without a certificate: cluster.yaml says so; with one, port 80 redirects to HTTPS"
    ),
    Finding("CKV_AWS_103", "AWS::ElasticLoadBalancingV2::Listener.DoorLoadBalancerHttp"): (
        "the same listener: there is no TLS without a certificate"
    ),
    Finding("CKV_AWS_260", "AWS::EC2::SecurityGroup.DoorSecurityGroup"): (
        "load_balancer.allowed_cidrs says who may send requests"
    ),
    Finding("CKV_AWS_18", "AWS::S3::Bucket.Bucket"): (
        "access logs would need a second bucket; CloudTrail data events record access"
    ),
    Finding("CKV_AWS_65", "AWS::ECS::Cluster.Cluster"): (
        "Container Insights is billed by metric; the load balancer and the replicas publish their own"
    ),
    Finding("CKV_AWS_88", "AWS::EC2::LaunchTemplate.Group"): (
        "instances in public subnets reach AWS without NAT; only the load balancer is let in (subnet_visibility)"
    ),
    Finding("CKV_AWS_91", "AWS::ElasticLoadBalancingV2::LoadBalancer.DoorLoadBalancer"): (
        "access logs are billed by request; replicas log requests"
    ),
    Finding("CKV_AWS_107", "AWS::IAM::Policy.ImagesRoleDefaultPolicy"): (
        "ecr:GetAuthorizationToken is how a build pulls and pushes; the action takes no resource"
    ),
    Finding("CKV_AWS_111", "AWS::IAM::Policy.InstanceRoleDefaultPolicy"): (
        "the ECS agent's actions, which take no resource or are bound to the cluster by a condition"
    ),
    Finding("CKV_AWS_136", "AWS::ECR::Repository.ImagesRepository"): (
        "ECR encrypts images with its own key; a key of one's own is billed and adds nothing to who may pull"
    ),
    Finding("CKV_AWS_158", "AWS::Logs::LogGroup."): (
        "CloudWatch Logs encrypts with its own key; a key of one's own is billed"
    ),
}
