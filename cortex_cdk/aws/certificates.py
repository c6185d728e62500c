"""The certificate with which a load balancer answers, as the account's own Certificate Manager has it."""

from __future__ import annotations

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.denials import denial_of


def certificate_of(cloud: Cloud, listener_arn: str) -> str | None:
    """Read the certificate of a listener.

    Args:
        cloud: A session of the environment.
        listener_arn: The listener.

    Returns:
        PEM; None where the listener has no certificate, or where the user may not ask for it.
    """
    from botocore.exceptions import ClientError

    try:
        (listener,) = cloud.elbv2.describe_listeners(ListenerArns=[listener_arn])["Listeners"]
        for used in listener.get("Certificates", []):
            return cloud.acm.get_certificate(CertificateArn=used["CertificateArn"])["Certificate"]
    except ClientError as error:
        if not denial_of(error):
            raise
    return None
