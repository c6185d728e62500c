"""The local cloud allows and denies as IAM does: users, roles, policies of each service, and the errors' words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.localcloud.stacks import client, running

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("permissions") / "local") as endpoint:
        yield endpoint


class User:
    """A user of the account, who may do what the last policy says.

    Args:
        cloud: The local cloud.
        name: The user's name.
    """

    def __init__(self, cloud: Endpoint, name: str) -> None:
        self._iam = client(cloud, "iam")
        self._cloud, self.name = cloud, name
        self._iam.create_user(UserName=name)
        self.key = self._iam.create_access_key(UserName=name)["AccessKey"]

    def may(self, *statements: dict[str, Any]) -> None:
        whole = [{"Effect": "Allow", "Resource": "*", **one} for one in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": whole})
        self._iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document)

    def client(self, service: str) -> Any:
        return with_key(self._cloud, service, self.key["AccessKeyId"], self.key["SecretAccessKey"])


def with_key(cloud: Endpoint, service: str, key: str, secret: str, token: str | None = None, **more: Any) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=cloud.control_url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        **more,
    )


@pytest.fixture(scope="module")
def user(cloud: Endpoint) -> User:
    return User(cloud, "anna")


@contextmanager
def denied(action: str, resource: str = "") -> Iterator[None]:
    """Expect the error of AWS that names an action, and a resource."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] in ("AccessDenied", "AccessDeniedException"), error
    assert f"is not authorized to perform: {action} on resource: " in error["Message"], error
    assert resource in error["Message"], error


Call = Callable[[Any], Any]
CALLS: list[tuple[str, str, str, Call, Call]] = [
    (
        "s3:GetObject",
        "arn:aws:s3:::mine/a",
        "s3",
        lambda s3: s3.get_object(Bucket="mine", Key="a"),
        lambda s3: s3.get_object(Bucket="other", Key="a"),
    ),
    (
        "s3:PutObject",
        "arn:aws:s3:::mine/*",
        "s3",
        lambda s3: s3.put_object(Bucket="mine", Key="b/c", Body=b""),
        lambda s3: s3.put_object(Bucket="other", Key="b/c", Body=b""),
    ),
    (
        "s3:DeleteObject",
        "arn:aws:s3:::mine/b*",
        "s3",
        lambda s3: s3.delete_objects(Bucket="mine", Delete={"Objects": [{"Key": "b/c"}, {"Key": "b/d"}]}),
        lambda s3: s3.delete_objects(Bucket="mine", Delete={"Objects": [{"Key": "b/c"}, {"Key": "a"}]}),
    ),
    (
        "s3:ListBucket",
        "arn:aws:s3:::mine",
        "s3",
        lambda s3: s3.list_objects_v2(Bucket="mine"),
        lambda s3: s3.list_objects_v2(Bucket="other"),
    ),
    (
        "logs:CreateLogStream",
        f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/mine:*",
        "logs",
        lambda logs: logs.create_log_stream(logGroupName="/mine", logStreamName="new"),
        lambda logs: logs.create_log_stream(logGroupName="/other", logStreamName="new"),
    ),
    (
        "cloudwatch:DeleteAlarms",
        f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:mine",
        "cloudwatch",
        lambda cloudwatch: cloudwatch.delete_alarms(AlarmNames=["mine"]),
        lambda cloudwatch: cloudwatch.delete_alarms(AlarmNames=["mine", "other"]),
    ),
    (
        "secretsmanager:GetSecretValue",
        f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:mine-??????",
        "secretsmanager",
        lambda secrets: secrets.get_secret_value(SecretId="mine"),
        lambda secrets: secrets.get_secret_value(SecretId="other"),
    ),
    (
        "ssm:GetParameter",
        f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/mine/*",
        "ssm",
        lambda ssm: ssm.get_parameter(Name="/mine/a"),
        lambda ssm: ssm.get_parameter(Name="/other/a"),
    ),
    (
        "ecr:DescribeImages",
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/mine",
        "ecr",
        lambda ecr: ecr.describe_images(repositoryName="mine"),
        lambda ecr: ecr.describe_images(repositoryName="other"),
    ),
    (
        "kms:Encrypt",
        "KEY",
        "kms",
        lambda kms: kms.encrypt(KeyId="alias/mine", Plaintext=b"x"),
        lambda kms: kms.encrypt(KeyId="alias/other", Plaintext=b"x"),
    ),
    (
        "ecs:DescribeServices",
        f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/mine/*",
        "ecs",
        lambda ecs: ecs.describe_services(cluster="mine", services=["a"]),
        lambda ecs: ecs.describe_services(cluster="other", services=["a"]),
    ),
    (
        "cloudformation:DescribeStackEvents",
        f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/mine-*/*",
        "cloudformation",
        lambda cloudformation: cloudformation.describe_stack_events(StackName="mine-a"),
        lambda cloudformation: cloudformation.describe_stack_events(StackName="other"),
    ),
]


@pytest.fixture(scope="module")
def content(cloud: Endpoint) -> dict[str, str]:
    """Things named "mine" and "other" in each service; the ARNs of the keys by name."""
    s3, kms, keys = client(cloud, "s3"), client(cloud, "kms"), {}
    for name in ("mine", "other"):
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="a", Body=b"content")
        client(cloud, "logs").create_log_group(logGroupName=f"/{name}")
        client(cloud, "secretsmanager").create_secret(Name=name, SecretString="secret")
        client(cloud, "ssm").put_parameter(Name=f"/{name}/a", Value="1", Type="String")
        client(cloud, "ecr").create_repository(repositoryName=name)
        client(cloud, "ecs").create_cluster(clusterName=name)
        keys[name] = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=keys[name])
    empty = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    client(cloud, "cloudformation").create_stack(StackName="mine-a", TemplateBody=empty)
    return keys


@pytest.mark.parametrize(("action", "resource", "service", "own", "other"), CALLS, ids=[call[0] for call in CALLS])
def test_actions_on_resources(
    user: User, content: dict[str, str], action: str, resource: str, service: str, own: Call, other: Call
) -> None:
    api = user.client(service)
    user.may({"Action": "sqs:*"})
    with denied(action):
        own(api)
    user.may({"Action": action, "Resource": content["mine"] if resource == "KEY" else resource})
    own(api)
    with denied(action):
        other(api)
    user.may({"Action": f"{action.split(':', 1)[0]}:*"}, {"Effect": "Deny", "Action": action})
    with denied(action):
        own(api)


def test_the_message_of_s3_is_that_of_aws(user: User, content: dict[str, str]) -> None:
    user.may({"Action": "sqs:*"})
    with pytest.raises(ClientError) as caught:
        user.client("s3").get_object(Bucket="mine", Key="a")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert caught.value.response["Error"] == {
        "Code": "AccessDenied",
        "Message": f"User: arn:aws:iam::{ACCOUNT}:user/anna is not authorized to perform: s3:GetObject on resource: "
        '"arn:aws:s3:::mine/a" because no identity-based policy allows the s3:GetObject action',
    }
    with pytest.raises(ClientError) as head:
        user.client("s3").head_object(Bucket="mine", Key="a")
    assert head.value.response["Error"]["Code"] == "403"


def test_a_missing_key_is_forbidden_to_whoever_may_not_list(user: User, content: dict[str, str]) -> None:
    s3, reads = user.client("s3"), {"Action": "s3:GetObject"}
    user.may(reads)
    with denied("s3:ListBucket", "arn:aws:s3:::mine"):
        s3.get_object(Bucket="mine", Key="none")
    user.may(reads, {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::mine"})
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="mine", Key="none")


def test_conditions_on_the_request(user: User, content: dict[str, str]) -> None:
    s3, cloudwatch = user.client("s3"), user.client("cloudwatch")
    user.may(
        {"Action": "s3:ListBucket", "Condition": {"StringLike": {"s3:prefix": "models/*"}}},
        {"Action": "cloudwatch:PutMetricData", "Condition": {"StringEquals": {"cloudwatch:namespace": "Mine"}}},
    )
    s3.list_objects_v2(Bucket="mine", Prefix="models/a")
    with denied("s3:ListBucket"):
        s3.list_objects_v2(Bucket="mine", Prefix="data/a")
    cloudwatch.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "m", "Value": 1}])
    with denied("cloudwatch:PutMetricData"):
        cloudwatch.put_metric_data(Namespace="Other", MetricData=[{"MetricName": "m", "Value": 1}])


def test_an_encrypted_object_needs_its_key(cloud: Endpoint, user: User, content: dict[str, str]) -> None:
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": content["mine"]}
    client(cloud, "s3").put_object(Bucket="mine", Key="encrypted", Body=b"x", **encrypted)
    s3, all_of_s3 = user.client("s3"), {"Action": "s3:*"}
    user.may(all_of_s3)
    with denied("kms:Decrypt", content["mine"]):
        s3.get_object(Bucket="mine", Key="encrypted")
    with denied("kms:GenerateDataKey", content["mine"]):
        s3.put_object(Bucket="mine", Key="new", Body=b"x", **encrypted)
    via_s3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    keys = ["kms:Decrypt", "kms:GenerateDataKey"]
    user.may(all_of_s3, {"Action": keys, "Resource": content["mine"], "Condition": via_s3})
    assert s3.get_object(Bucket="mine", Key="encrypted")["Body"].read() == b"x"
    s3.put_object(Bucket="mine", Key="new", Body=b"x", **encrypted)


def test_the_policy_of_a_bucket_counts(cloud: Endpoint, user: User, content: dict[str, str]) -> None:
    def set_policy(effect: str) -> None:
        who = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/anna"}
        statement = {"Effect": effect, "Principal": who, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/a"}
        client(cloud, "s3").put_bucket_policy(Bucket="other", Policy=json.dumps({"Statement": [statement]}))

    user.may({"Action": "sqs:*"})
    set_policy("Allow")
    user.client("s3").get_object(Bucket="other", Key="a")
    user.may({"Action": "s3:*"})
    set_policy("Deny")
    with denied("s3:GetObject"):
        user.client("s3").get_object(Bucket="other", Key="a")


def test_roles_have_policies_boundaries_and_trust(cloud: Endpoint, user: User, content: dict[str, str]) -> None:
    iam, sts = client(cloud, "iam"), user.client("sts")

    def policy(**statement: Any) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})

    bounds = iam.create_policy(PolicyName="bounds", PolicyDocument=policy(Action="s3:GetObject", Resource="*"))
    role = iam.create_role(
        RoleName="reader",
        AssumeRolePolicyDocument=policy(Action="sts:AssumeRole", Principal={"Service": "ecs-tasks.amazonaws.com"}),
        PermissionsBoundary=bounds["Policy"]["Arn"],
    )["Role"]["Arn"]
    iam.attach_role_policy(RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    user.may({"Action": "sts:AssumeRole", "Resource": role})
    with denied("sts:AssumeRole", role):
        sts.assume_role(RoleArn=role, RoleSessionName="session")
    account = policy(Action="sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    iam.update_assume_role_policy(RoleName="reader", PolicyDocument=account)
    taken = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    keys = (taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    s3 = with_key(cloud, "s3", *keys)
    assert s3.get_object(Bucket="mine", Key="a")["Body"].read() == b"content"
    with pytest.raises(ClientError, match="because no permissions boundary allows the s3:PutObject action"):
        s3.put_object(Bucket="mine", Key="a", Body=b"")
    caller = with_key(cloud, "sts", *keys).get_caller_identity()
    assert caller["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/session"


def test_urls_that_were_signed_for_others(cloud: Endpoint, user: User, content: dict[str, str]) -> None:
    import requests

    s3 = with_key(
        cloud, "s3", user.key["AccessKeyId"], user.key["SecretAccessKey"], config=Config(signature_version="s3v4")
    )
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "mine", "Key": "a"})
    user.may({"Action": "sqs:*"})
    assert requests.get(url, timeout=60).status_code == 403
    user.may({"Action": "s3:GetObject"})
    assert requests.get(url, timeout=60).text == "content"


def test_keys_that_are_gone_and_credentials_of_others(cloud: Endpoint, content: dict[str, str]) -> None:
    bert = User(cloud, "bert")
    bert.may({"Action": "*"})
    iam = client(cloud, "iam")
    bert.client("s3").list_buckets()
    bert.client("ecs").list_clusters()
    iam.delete_access_key(UserName="bert", AccessKeyId=bert.key["AccessKeyId"])
    for service, call, code in (
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("ecs", "list_clusters", "UnrecognizedClientException"),
        ("cloudformation", "list_stacks", "InvalidClientTokenId"),
    ):
        with pytest.raises(ClientError) as caught:
            getattr(bert.client(service), call)()
        assert caught.value.response["Error"]["Code"] == code
    # Credentials that this account did not make are the developer's.
    with_key(cloud, "s3", "AKIAIOSFODNN7EXAMPLE", "secret").list_buckets()
