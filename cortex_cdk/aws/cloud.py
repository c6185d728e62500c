"""The one door to AWS: makes sessions and clients.

boto3 is imported when a session is first made, so that commands which need none start at once.
"""

from __future__ import annotations

import threading
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cortex_cdk.errors import CloudError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_acm import ACMClient
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient


def check_endpoint_url(url: str | None) -> None:
    """Refuse what cannot be an endpoint URL. None, which replaces nothing, passes.

    Raises:
        CloudError: The URL has no scheme http or https.
    """
    if url and not url.startswith(("http://", "https://")):
        raise CloudError(
            f"the endpoint URL {url!r} is not a URL",
            hint="give one that starts with http:// or https://: cortex env configure NAME --endpoint-url URL",
        )


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine, so that no proxy can know the way."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # a name, as load balancers of AWS have


class Cloud:
    """A session and its clients. Each client is made on first use; clients may be used by several threads.

    Attributes:
        endpoint_url: Replaces the AWS endpoints; None for AWS itself.
        region: The AWS region.
    """

    def __init__(self, session: boto3.Session, endpoint_url: str | None, *, fail_fast: bool = False) -> None:
        self._session = session
        self._fail_fast = fail_fast
        # Clients may be used by several threads, but a session must not make two at once.
        self._making = threading.Lock()
        self.endpoint_url = endpoint_url
        self.region: str = session.region_name

    @classmethod
    def with_profile(
        cls, region: str, profile: str | None, endpoint_url: str | None, *, fail_fast: bool = False
    ) -> Cloud:
        """Make a session with a profile of the user.

        Args:
            region: The AWS region.
            profile: A profile of the AWS configuration files; None uses the default credential chain.
            endpoint_url: Replaces the AWS endpoints; None for AWS itself.
            fail_fast: Ask once, and give up within seconds.

        Raises:
            CloudError: The endpoint URL is none.
        """
        import boto3

        check_endpoint_url(endpoint_url)
        return cls(boto3.Session(profile_name=profile, region_name=region), endpoint_url, fail_fast=fail_fast)

    @classmethod
    def without_account(cls, region: str, endpoint_url: str, *, fail_fast: bool = False) -> Cloud:
        """Make a session with an emulator. The user's own credentials are neither needed nor sent.

        Args:
            region: The AWS region.
            endpoint_url: Where the emulator answers.
            fail_fast: Ask once, and give up within seconds.
        """
        import boto3
        import botocore.session

        # An AWS_PROFILE that names no profile would otherwise fail a command that needs none.
        unnamed = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        unnamed.set_credentials("local", "local")
        return cls(boto3.Session(botocore_session=unnamed, region_name=region), endpoint_url, fail_fast=fail_fast)

    @property
    def has_console(self) -> bool:
        """Whether the AWS console shows the session's resources. It shows none behind another endpoint."""
        return self.endpoint_url is None

    @cached_property
    def impatient(self) -> Cloud:
        """The same session, for questions that are worth a few seconds only: each is asked once."""
        return Cloud(self._session, self.endpoint_url, fail_fast=True)

    def _client(self, service: str) -> Any:
        from botocore.config import Config

        retries: Any = {"mode": "standard", "total_max_attempts": 1 if self._fail_fast else 7}
        connect, read = (1, 2) if self._fail_fast else (5, 60)
        config = Config(
            retries=retries,
            connect_timeout=connect,
            read_timeout=read,
            s3={"addressing_style": "path"},
            # botocore would ask the proxy of the environment for an address of this machine, too.
            proxies={} if self.endpoint_url and is_loopback(self.endpoint_url) else None,
        )
        # boto3's overloads want the service's name as a literal.
        session: Any = self._session
        try:
            with self._making:
                return session.client(service, endpoint_url=self.endpoint_url, config=config)
        except ValueError as error:
            # botocore checks the endpoint before anything is sent, and has no error of its own for it.
            raise CloudError(
                f"cannot make a client of {service}: {error}",
                hint="see AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_* and endpoint_url in ~/.aws/config",
            ) from error

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation."""
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @cached_property
    def acm(self) -> ACMClient:
        """Certificate Manager."""
        client: ACMClient = self._client("acm")
        return client

    @cached_property
    def autoscaling(self) -> AutoScalingClient:
        """EC2 Auto Scaling: the instances of the instance groups."""
        client: AutoScalingClient = self._client("autoscaling")
        return client

    @cached_property
    def ec2(self) -> EC2Client:
        """Elastic Compute Cloud."""
        client: EC2Client = self._client("ec2")
        return client

    @cached_property
    def service_quotas(self) -> ServiceQuotasClient:
        """Service Quotas."""
        client: ServiceQuotasClient = self._client("service-quotas")
        return client

    @cached_property
    def iam(self) -> IAMClient:
        """Identity and Access Management."""
        client: IAMClient = self._client("iam")
        return client

    @cached_property
    def ssm(self) -> SSMClient:
        """Systems Manager: parameters, also those in which AWS publishes machine images."""
        client: SSMClient = self._client("ssm")
        return client

    @cached_property
    def sts(self) -> STSClient:
        """Security Token Service."""
        client: STSClient = self._client("sts")
        return client

    @cached_property
    def ecs(self) -> ECSClient:
        """Elastic Container Service."""
        client: ECSClient = self._client("ecs")
        return client

    @cached_property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        """Elastic Load Balancing."""
        client: ElasticLoadBalancingv2Client = self._client("elbv2")
        return client

    @cached_property
    def application_autoscaling(self) -> ApplicationAutoScalingClient:
        """Application Auto Scaling."""
        client: ApplicationAutoScalingClient = self._client("application-autoscaling")
        return client

    @cached_property
    def s3(self) -> S3Client:
        """Simple Storage Service."""
        client: S3Client = self._client("s3")
        return client

    @cached_property
    def secretsmanager(self) -> SecretsManagerClient:
        """Secrets Manager."""
        client: SecretsManagerClient = self._client("secretsmanager")
        return client

    @cached_property
    def route53(self) -> Route53Client:
        """Route 53: hosted zones."""
        client: Route53Client = self._client("route53")
        return client

    @cached_property
    def ecr(self) -> ECRClient:
        """Elastic Container Registry."""
        client: ECRClient = self._client("ecr")
        return client

    @cached_property
    def codebuild(self) -> CodeBuildClient:
        """CodeBuild."""
        client: CodeBuildClient = self._client("codebuild")
        return client

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        """CloudWatch Logs."""
        client: CloudWatchLogsClient = self._client("logs")
        return client

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """CloudWatch."""
        client: CloudWatchClient = self._client("cloudwatch")
        return client
