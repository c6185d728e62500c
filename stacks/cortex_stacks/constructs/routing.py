"""Listener rules: an endpoint and everything below it."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cortex_cdk.config.sections.auth import Auth, Jwt
from cortex_cdk.synthesis.specs import ClusterResources


def endpoint_rule(
    scope: Construct,
    *,
    cluster: ClusterResources,
    endpoint: str,
    priority: int,
    action: elb.ListenerAction,
    auth: Auth,
) -> elb.ApplicationListenerRule:
    """Add a rule to the cluster's listener for an endpoint and everything below it.

    The rule has two conditions and one wildcard. ELBv2 allows five of each.

    Args:
        cluster: The cluster's resources.
        endpoint: Path with a leading and without a trailing slash.
        priority: 1 to 50000; of two rules that match, the lower number wins.
        action: What the load balancer does with matching requests.
        auth: Who may send requests. Tokens are validated by the load balancer, before the action.
    """
    listener = elb.ApplicationListener.from_application_listener_attributes(
        scope,
        "Listener",
        listener_arn=cluster.listener_arn,
        # The construct wants one and does not use it: the cluster's stack opens the ports of the instances.
        security_group=ec2.SecurityGroup.from_security_group_id(scope, "None", "sg-none", mutable=False),
    )
    return elb.ApplicationListenerRule(
        scope,
        "Rule",
        listener=listener,
        priority=priority,
        conditions=[elb.ListenerCondition.path_patterns([endpoint, f"{endpoint}/*"])],
        action=_with_tokens(auth.jwt, action) if auth.jwt else action,
    )


def _with_tokens(jwt: Jwt, action: elb.ListenerAction) -> elb.ListenerAction:
    """Put the validation of tokens before an action. The CDK's own (``authenticate_jwt``) takes no claims.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-verify-jwt.html
    """
    claims = [
        elb.CfnListener.JwtValidationActionAdditionalClaimProperty(
            name=name, format=_format(name, wanted), values=[wanted] if isinstance(wanted, str) else wanted
        )
        for name, wanted in jwt.claims.items()
    ]
    config = elb.CfnListener.JwtValidationConfigProperty(
        issuer=jwt.issuer, jwks_endpoint=jwt.jwks, additional_claims=claims or None
    )
    validation = elb.CfnListener.ActionProperty(type="jwt-validation", jwt_validation_config=config)
    return elb.ListenerAction(validation, action)


def _format(claim: str, wanted: str | list[str]) -> str:
    """The format of a claim's value: scopes are words with blanks between them (RFC 8693, 4.2)."""
    if claim == "scope":
        return "space-separated-values"
    return "single-string" if isinstance(wanted, str) else "string-array"
