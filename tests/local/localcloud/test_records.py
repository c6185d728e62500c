"""What the local cloud holds survives a snapshot that cannot be read: it is made again from its records."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.localcloud import launcher
from cortex_cdk.localcloud.daemon.durability import ASIDE_FOLDER, RECORDS_FOLDER, SNAPSHOT_FILE
from cortex_cdk.localcloud.endpoint import Endpoint, is_alive
from cortex_cdk.localcloud.services.elbv2.tls import self_signed
from cortex_cdk.localcloud.settings import Settings
from tests.local.lifecycle import network, resource
from tests.local.localcloud.stacks import Stacks, client, log_group, running, template
from tests.local.waiting import until


def kill(endpoint: Endpoint, state: Path) -> None:
    os.kill(endpoint.pid, signal.SIGKILL)
    until(lambda: not is_alive(state))


def start(state: Path) -> Endpoint:
    return launcher.ensure_running(Settings(state=state, control_port=0, http_port=0, https_port=0))


def of_another_version(snapshot: Path) -> None:
    header, _, rest = snapshot.read_bytes().partition(b"\n")
    snapshot.write_bytes(json.dumps({**json.loads(header), "moto": "0.0.1"}).encode() + b"\n" + rest)


def cut_short(snapshot: Path) -> None:
    snapshot.write_bytes(snapshot.read_bytes()[:-200])


def without_header(snapshot: Path) -> None:
    snapshot.write_bytes(b"\x00" * 100)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (of_another_version, "it was made by another version"),
        (cut_short, "it is damaged"),
        (without_header, "it is damaged"),
        (Path.unlink, "it is gone"),
    ],
)
def test_stacks_are_made_again_and_nothing_is_deleted(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        stacks = Stacks(endpoint)
        content = template(Group={**log_group("lasting", RetentionInDays=7)}, Bucket=resource("AWS::S3::Bucket"))
        content["Parameters"] = {"Word": {"Type": "String"}}
        content["Outputs"] = {"Name": {"Value": {"Ref": "Bucket"}}, "Word": {"Value": {"Ref": "Word"}}}
        parameters = [{"ParameterKey": "Word", "ParameterValue": "said"}]
        before = stacks.create("lasting", content, Parameters=parameters, Tags=[{"Key": "team", "Value": "a"}])
        bucket = stacks.resources("lasting")["Bucket"][0]
        client(endpoint, "s3").put_object(Bucket=bucket, Key="archive", Body=b"content")
        until(lambda: "archive" in (state / RECORDS_FOLDER / "buckets" / f"{bucket}.json").read_text())
        kill(endpoint, state)
        damage(state / SNAPSHOT_FILE)
        kept = {path.name: path.read_bytes() for path in state.iterdir() if path.name == SNAPSHOT_FILE}

        again = start(state)

        stacks = Stacks(again)
        assert stacks.api.describe_stacks(StackName="lasting")["Stacks"] == [before]
        assert stacks.api.get_template(StackName="lasting")["TemplateBody"] == content
        assert stacks.resources("lasting")["Bucket"] == (bucket, "CREATE_COMPLETE")
        assert client(again, "s3").get_object(Bucket=bucket, Key="archive")["Body"].read() == b"content"
        assert again.notice is None
        assert again.news is not None
        assert reason in again.news
        assert "made again from its records: lasting. " in again.news
        (aside,) = (state / ASIDE_FOLDER).iterdir()
        assert str(aside) in again.news
        assert {path.name: path.read_bytes() for path in aside.iterdir() if path.is_file()} == kept
        assert stacks.update("lasting", template(Group=log_group("lasting")))["StackStatus"] == "UPDATE_COMPLETE"
        assert client(again, "s3").get_object(Bucket=bucket, Key="archive")["Body"].read() == b"content"

        launcher.stop(Settings(state=state))
        assert start(state).news is None, "what was made again is in a snapshot of its own"


def test_ids_of_other_stacks_are_followed_in_whatever_order_they_came(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        stacks = Stacks(endpoint)
        # The older stack is made to refer to the younger one.
        stacks.create("older", template(Group=log_group("older")))
        stacks.create("younger", network())
        vpc = stacks.resources("younger")["Vpc"][0]
        table = resource("AWS::EC2::RouteTable", VpcId=vpc, Tags=[{"Key": "of", "Value": f"vpc {vpc}, not {vpc}0"}])
        stacks.update("older", template(Group=log_group("older"), Table=table))
        kill(endpoint, state)
        without_header(state / SNAPSHOT_FILE)

        again = start(state)

        assert again.notice is None, again.notice
        stacks, ec2 = Stacks(again), client(again, "ec2")
        now = stacks.resources("younger")["Vpc"][0]
        assert now != vpc
        (found,) = ec2.describe_route_tables(RouteTableIds=[stacks.resources("older")["Table"][0]])["RouteTables"]
        assert found["VpcId"] == now
        assert {"Key": "of", "Value": f"vpc {now}, not {vpc}0"} in found["Tags"]
        assert stacks.change_set("older", stacks.api.get_template(StackName="older")["TemplateBody"])["Changes"] == []


def test_objects_outside_of_stacks_are_back_in_all_their_versions(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        s3 = client(endpoint, "s3")
        s3.create_bucket(Bucket="own")
        s3.put_bucket_versioning(Bucket="own", VersioningConfiguration={"Status": "Enabled"})
        first = s3.put_object(Bucket="own", Key="a/b c", Body=b"one", Metadata={"who": "me"}, Tagging="x=y")
        second = s3.put_object(Bucket="own", Key="a/b c", Body=b"two", ContentType="text/plain")
        s3.put_object(Bucket="own", Key="gone", Body=b"three")
        s3.delete_object(Bucket="own", Key="gone")

        s3 = client(made_again(state), "s3")

        versions = s3.list_object_versions(Bucket="own")
        found = {version["VersionId"] for version in versions["Versions"] if version["Key"] == "a/b c"}
        assert found == {first["VersionId"], second["VersionId"]}
        assert [marker["Key"] for marker in versions["DeleteMarkers"]] == ["gone"]
        old = s3.get_object(Bucket="own", Key="a/b c", VersionId=first["VersionId"])
        assert (old["Body"].read(), old["ETag"]) == (b"one", first["ETag"])
        assert {name.lower(): value for name, value in old["Metadata"].items()} == {"who": "me"}
        tags = s3.get_object_tagging(Bucket="own", Key="a/b c", VersionId=first["VersionId"])["TagSet"]
        assert tags == [{"Key": "x", "Value": "y"}]
        new = s3.get_object(Bucket="own", Key="a/b c")
        assert (new["Body"].read(), new["ContentType"]) == (b"two", "text/plain")


def test_parameters_and_secrets_are_back(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        client(endpoint, "ssm").put_parameter(
            Name="/own/secret", Value="s3cret", Type="SecureString", Tags=[{"Key": "a", "Value": "b"}]
        )
        image = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
        client(endpoint, "ssm").put_parameter(Name=image, Value="ami-newer", Overwrite=True)
        secrets = client(endpoint, "secretsmanager")
        secret = secrets.create_secret(Name="own", SecretString="hidden", Description="mine")["ARN"]
        secrets.put_secret_value(SecretId="own", SecretString="changed")

        again = made_again(state)

        ssm = client(again, "ssm")
        assert ssm.get_parameter(Name="/own/secret", WithDecryption=True)["Parameter"]["Value"] == "s3cret"
        assert ssm.get_parameter(Name=image)["Parameter"]["Value"] == "ami-newer"
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/own/secret")["TagList"]
        assert tags == [{"Key": "a", "Value": "b"}]
        secrets = client(again, "secretsmanager")
        assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "changed"
        assert secrets.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["SecretString"] == "hidden"


def test_certificates_are_back(tmp_path: Path) -> None:
    state = tmp_path / "local"
    certificate, key = self_signed(["example.com"])
    with running(state) as endpoint:
        acm = client(endpoint, "acm")
        tags = [{"Key": "a", "Value": "b"}]
        arns = [
            acm.import_certificate(Certificate=certificate, PrivateKey=key, Tags=tags)["CertificateArn"],
            acm.request_certificate(DomainName="requested.example.com")["CertificateArn"],
        ]
        before = [acm.describe_certificate(CertificateArn=arn)["Certificate"] for arn in arns]

        acm = client(made_again(state), "acm")

        assert [acm.describe_certificate(CertificateArn=arn)["Certificate"] for arn in arns] == before
        assert acm.get_certificate(CertificateArn=arns[0])["Certificate"].encode() == certificate
        assert acm.list_tags_for_certificate(CertificateArn=arns[0])["Tags"] == tags


def test_log_events_are_back(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        logs = client(endpoint, "logs")
        logs.create_log_group(logGroupName="/own", tags={"a": "b"})
        logs.create_log_stream(logGroupName="/own", logStreamName="s")
        now = int(state.stat().st_mtime * 1000)
        logs.put_log_events(logGroupName="/own", logStreamName="s", logEvents=[{"timestamp": now, "message": "a line"}])

        logs = client(made_again(state), "logs")

        events = logs.get_log_events(logGroupName="/own", logStreamName="s")["events"]
        assert [(event["timestamp"], event["message"]) for event in events] == [(now, "a line")]
        assert logs.list_tags_log_group(logGroupName="/own")["tags"] == {"a": "b"}


def made_again(state: Path) -> Endpoint:
    """Stop a local cloud, spoil its snapshot, and start it."""
    launcher.stop(Settings(state=state))
    without_header(state / SNAPSHOT_FILE)
    return start(state)


def test_a_stack_that_cannot_be_made_again_is_named_and_its_files_are_kept(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        stacks = Stacks(endpoint)
        stacks.create("good", template(Group=log_group("good")))
        stacks.create("bad", template(Group=log_group("bad"), Bucket=resource("AWS::S3::Bucket")))
        bucket = stacks.resources("bad")["Bucket"][0]
        client(endpoint, "s3").put_object(Bucket=bucket, Key="archive", Body=b"content")
        until(lambda: "archive" in (state / RECORDS_FOLDER / "buckets" / f"{bucket}.json").read_text())
        kill(endpoint, state)
        record = state / RECORDS_FOLDER / "stacks" / "bad.json"
        # A type that this version of the local cloud no longer makes.
        record.write_text(record.read_text().replace("AWS::Logs::LogGroup", "AWS::Nope::Thing"))
        (state / RECORDS_FOLDER / "stacks" / "torn.json").write_text("{")
        kept = record.read_text()
        without_header(state / SNAPSHOT_FILE)

        again = start(state)

        assert again.news is not None
        assert again.notice is not None
        assert "made again from its records: good. " in again.news
        assert "stack bad: Group (AWS::Nope::Thing): The local cloud cannot make resources of type" in again.notice
        assert "torn.json: the record cannot be read" in again.notice
        assert [stack["StackName"] for stack in Stacks(again).api.describe_stacks()["Stacks"]] == ["good"]
        (aside,) = (state / ASIDE_FOLDER).iterdir()
        assert (aside / RECORDS_FOLDER / "stacks" / "bad.json").read_text() == kept
        assert b"content" in [path.read_bytes() for path in (aside / "objects").iterdir()]
        # Nothing of a stack that failed is in the way of the one that takes its place.
        assert Stacks(again).create("bad", template(Group=log_group("bad")))["StackStatus"] == "CREATE_COMPLETE"


def test_stacks_whose_last_operation_failed_are_what_they_were(tmp_path: Path) -> None:
    state = tmp_path / "local"
    broken = template(Group=log_group("broken"), Other=resource("AWS::Nope::Thing"))
    with running(state) as endpoint:
        stacks = Stacks(endpoint)
        stacks.create("never", broken)
        stacks.create("updated", template(Group=log_group("updated")))
        stacks.update("updated", template(Group=log_group("updated"), Other=resource("AWS::Nope::Thing")))
        stacks.create("deleted", template(Group=log_group("deleted")))
        stacks.delete("deleted")
        before = described(stacks)
        assert set(before) == {("never", "ROLLBACK_COMPLETE"), ("updated", "UPDATE_ROLLBACK_COMPLETE")}
        kill(endpoint, state)
        without_header(state / SNAPSHOT_FILE)

        again = start(state)

        assert described(Stacks(again)) == before
        groups = client(again, "logs").describe_log_groups()["logGroups"]
        assert [group["logGroupName"] for group in groups] == ["updated"]


def described(stacks: Stacks) -> dict[tuple[str, str], Any]:
    found = stacks.api.describe_stacks()["Stacks"]
    return {(stack["StackName"], stack["StackStatus"]): stack.get("StackStatusReason") for stack in found}


def test_a_state_without_records_is_set_aside_and_told(tmp_path: Path) -> None:
    state = tmp_path / "local"
    state.mkdir()
    (state / SNAPSHOT_FILE).write_bytes(b'{"format": 1, "moto": "0.0.1"}\nrest')
    with running(state) as endpoint:
        assert endpoint.notice is not None
        assert "there are no records of stacks: the local cloud starts empty" in endpoint.notice
        (aside,) = (state / ASIDE_FOLDER).iterdir()
        assert (aside / SNAPSHOT_FILE).read_bytes() == b'{"format": 1, "moto": "0.0.1"}\nrest'
        assert str(aside) in endpoint.notice
