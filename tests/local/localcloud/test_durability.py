"""What the local cloud holds survives ``kill -9``, and an operation that was cut off ends truthfully."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from cortex_cdk.localcloud import launcher
from cortex_cdk.localcloud.daemon.durability import SNAPSHOT_FILE
from cortex_cdk.localcloud.endpoint import Endpoint, is_alive
from cortex_cdk.localcloud.services.logs.kept_events import KEPT_STREAMS
from cortex_cdk.localcloud.settings import Settings
from tests.local.localcloud.stacks import (
    CAPABILITIES,
    Stacks,
    client,
    log_group,
    running,
    stuck_service,
    template,
)
from tests.local.waiting import until

PUBLISHED = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"


def kill(endpoint: Endpoint, state: Path) -> None:
    os.kill(endpoint.pid, signal.SIGKILL)
    until(lambda: not is_alive(state))


def restart(state: Path) -> Endpoint:
    return launcher.ensure_running(Settings(state=state, control_port=0, http_port=0))


def test_stacks_objects_and_resources_survive_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "local"
    body = os.urandom(300_000)
    with running(state) as endpoint:
        s3 = client(endpoint, "s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="archive", Body=body)
        s3.put_object(Bucket="bucket", Key="same", Body=body)
        stacks = Stacks(endpoint)
        content = template(Group=log_group("lasting", RetentionInDays=7))
        content["Outputs"] = {"Name": {"Value": {"Ref": "Group"}}}
        before = stacks.create("lasting", content)
        events = stacks.events("lasting")

        # The answer that the stack is complete must already be stored.
        kill(endpoint, state)
        again = restart(state)

        stacks, s3 = Stacks(again), client(again, "s3")
        assert stacks.api.describe_stacks(StackName="lasting")["Stacks"] == [before]
        assert stacks.events("lasting") == events
        found = s3.get_object(Bucket="bucket", Key="archive")
        assert found["Body"].read() == body
        ranged = s3.get_object(Bucket="bucket", Key="same", Range="bytes=10-19")
        assert ranged["Body"].read() == body[10:20]
        # One body is stored for two objects, and none once both are gone.
        assert len(list((state / "objects").iterdir())) == 1
        assert stacks.update("lasting", template(Group=log_group("lasting")))["StackStatus"] == "UPDATE_COMPLETE"
        for key in ("archive", "same"):
            s3.delete_object(Bucket="bucket", Key=key)
        until(lambda: not list((state / "objects").iterdir()))


def test_requests_outside_of_stacks_survive_too(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        client(endpoint, "ssm").put_parameter(Name="/own", Value="mine", Type="String")
        client(endpoint, "ssm").put_parameter(Name=PUBLISHED, Value="ami-newer", Overwrite=True)
        client(endpoint, "iam").create_user(UserName="somebody")
        until(
            lambda: b"somebody" in (state / SNAPSHOT_FILE).read_bytes() if (state / SNAPSHOT_FILE).exists() else False
        )
        kill(endpoint, state)
        again = restart(state)
        assert client(again, "ssm").get_parameter(Name="/own")["Parameter"]["Value"] == "mine"
        assert client(again, "iam").get_user(UserName="somebody")["User"]["UserName"] == "somebody"
        public = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
        assert client(again, "ssm").get_parameter(Name=public)["Parameter"]["Value"].startswith("ami-")
        found = client(again, "ssm").get_parameters(Names=[public, PUBLISHED, "/own", "/none"])
        assert {one["Name"]: one["Version"] for one in found["Parameters"]} == {public: 1, PUBLISHED: 2, "/own": 1}
        assert found["InvalidParameters"] == ["/none"]
        assert "ami-newer" in [one["Value"] for one in found["Parameters"]]


def test_an_update_that_was_cut_off_is_rolled_back(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        stacks = Stacks(endpoint)
        before = stuck_service(desired=0)
        identity = stacks.create("cut", before)["StackId"]
        stacks.api.update_stack(
            StackName="cut", TemplateBody=json.dumps(stuck_service(desired=1)), Capabilities=CAPABILITIES
        )
        until(lambda: b"run-1" in (state / SNAPSHOT_FILE).read_bytes())
        kill(endpoint, state)
        stacks = Stacks(restart(state))
        assert stacks.settled(identity)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert stacks.api.get_template(StackName="cut")["TemplateBody"] == before
        assert "stopped while the operation ran" in stacks.reasons("cut", "UPDATE_ROLLBACK_IN_PROGRESS")[0]


def test_a_creation_that_was_cut_off_is_rolled_back(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        answer = Stacks(endpoint).api.create_stack(
            StackName="cut", TemplateBody=json.dumps(stuck_service(desired=1)), Capabilities=CAPABILITIES
        )
        until(lambda: (state / SNAPSHOT_FILE).exists() and b"run-1" in (state / SNAPSHOT_FILE).read_bytes())
        kill(endpoint, state)
        again = restart(state)
        assert Stacks(again).settled(answer["StackId"])["StackStatus"] == "ROLLBACK_COMPLETE"
        clusters = client(again, "ecs").describe_clusters(clusters=["slow"])["clusters"]
        assert [cluster["status"] for cluster in clusters] in ([], ["INACTIVE"])


def test_a_service_that_cannot_be_stored_does_not_stop_the_others_from_being_stored(tmp_path: Path) -> None:
    state = tmp_path / "local"
    with running(state) as endpoint:
        # moto keeps functions in weak dictionaries, which cannot be pickled; asking for them is enough to make one.
        assert client(endpoint, "lambda").list_functions()["Functions"] == []
        made = Stacks(endpoint).create("lasting", template(Group=log_group("lasting")))
        assert made["StackStatus"] == "CREATE_COMPLETE"
        kill(endpoint, state)
        again = restart(state)
        assert Stacks(again).api.describe_stacks(StackName="lasting")["Stacks"] == [made]


def test_log_events_of_two_daemons_have_different_ids(tmp_path: Path) -> None:
    """``cortex logs`` tells events by their ids."""
    state = tmp_path / "local"

    def say(endpoint: Endpoint, line: str) -> None:
        event = {"timestamp": int(time.time() * 1000), "message": line}
        client(endpoint, "logs").put_log_events(logGroupName="/own", logStreamName="s", logEvents=[event])

    with running(state) as endpoint:
        client(endpoint, "logs").create_log_group(logGroupName="/own")
        client(endpoint, "logs").create_log_stream(logGroupName="/own", logStreamName="s")
        say(endpoint, "before")
        launcher.stop(Settings(state=state))
        again = restart(state)
        say(again, "after")
        events = client(again, "logs").filter_log_events(logGroupName="/own")["events"]
        assert [event["message"] for event in events] == ["before", "after"]
        assert len({event["eventId"] for event in events}) == 2


def test_log_streams_of_a_crash_loop_do_not_pile_up(tmp_path: Path) -> None:
    with running(tmp_path / "local") as endpoint:
        logs = client(endpoint, "logs")
        logs.create_log_group(logGroupName="/own")
        for number in range(KEPT_STREAMS + 3):
            logs.create_log_stream(logGroupName="/own", logStreamName=f"{number:04}")

        def names() -> list[str]:
            pages = logs.get_paginator("describe_log_streams").paginate(logGroupName="/own")
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

        until(lambda: len(names()) == KEPT_STREAMS)
        assert names()[0] == "0003"
