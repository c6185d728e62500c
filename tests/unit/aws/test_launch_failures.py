"""What EC2 says of a launch that failed, in words, with what to do next."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.launch_failures import LaunchFailure, explain, last_launch_failure
from cortex_cdk.localcloud.services.autoscaling.launch_faults import LaunchFault
from tests.golden_file import compare

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
GOLDEN = Path(__file__).with_name("launch_failures.txt")
FAILED = " Launching EC2 instance failed."
SAID = (*Path(__file__).with_name("launch_messages.txt").read_text().splitlines(), "")


def test_each_message_is_explained() -> None:
    told = []
    for said in SAID:
        failure = explain(f"{said}{FAILED}" if said else "", NOW)
        told.append(f"EC2:   {failure.said}\nwords: {failure.what}\nto do: {failure.to_do}\n")
    compare("\n".join(told), GOLDEN)


@pytest.mark.parametrize(
    "code",
    [
        "InsufficientInstanceCapacity",
        "VcpuLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "UnfulfillableCapacity",
        "InvalidParameterCombination",
        "Unsupported",
        "Client.InternalError",
        "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
        "InsufficientFreeAddressesInSubnet",
        "VolumeLimitExceeded",
        "UnauthorizedOperation",
        "PendingVerification",
    ],
)
def test_what_the_local_cloud_says_is_explained_too(code: str) -> None:
    said = LaunchFault.lasting(30, code).reason("m6i.large", "us-east-1a", "subnet-1")
    assert not explain(said, NOW).what.startswith("EC2 says"), said


def activity(minutes: int, status: str, description: str = "Launching a new EC2 instance.") -> dict[str, Any]:
    moment = NOW - timedelta(minutes=minutes)
    said = {"StatusMessage": f"Max spot instance count exceeded.{FAILED}"} if status == "Failed" else {}
    return {
        "ActivityId": str(minutes),
        "AutoScalingGroupName": "g",
        "Description": description,
        "Cause": "an instance was started",
        "StartTime": moment,
        "StatusCode": status,
        **said,
    }


def last(activities: list[dict[str, Any]], since: int | None = 30) -> LaunchFailure | None:
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    with Stubber(cloud.autoscaling) as stub:
        stub.add_response("describe_scaling_activities", {"Activities": activities})
        return last_launch_failure(cloud, "g", NOW - timedelta(minutes=since) if since else None)


def test_the_last_launch_counts_and_only_since_the_need_is_there() -> None:
    failed, ended = activity(5, "Failed"), activity(1, "Successful", "Terminating EC2 instance: i-1")
    found = last([ended, failed, activity(9, "Successful")])
    assert found
    assert found.at == NOW - timedelta(minutes=5)
    assert last([activity(1, "InProgress"), failed]), "a launch that has only begun says nothing yet"
    assert last([activity(4, "Successful"), failed]) is None, "a later one has succeeded"
    assert last([failed], since=4) is None, "of an earlier need"
    assert last([failed], since=None)
    assert last([]) is None


def test_who_may_not_ask_gets_no_reason_and_no_error() -> None:
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    with Stubber(cloud.autoscaling) as stub:
        stub.add_client_error("describe_scaling_activities", "AccessDenied")
        assert last_launch_failure(cloud, "g", NOW) is None
