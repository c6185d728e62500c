"""A real Envoy in front of real processes: headers, weights, draining, what a client sees when something breaks."""

from __future__ import annotations

import http.client
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.local.localcloud.data_plane_support import Cloud, Traffic
from tests.local.waiting import until


def test_answers(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="one"))
    service = running.wait_for_rollout(api)

    assert (service["runningCount"], service["pendingCount"]) == (1, 0)
    assert any("has reached a steady state" in event["message"] for event in service["events"])
    status, content = running.get(f"/{api}?x=1")
    assert (status, content["answer"], content["path"]) == (200, "one", f"/{api}?x=1")
    assert running.get("/other") == (404, {"error": "no such API"})
    assert [item["TargetHealth"]["State"] for item in running.health(api)] == ["healthy"]

    (task,) = running.tasks(api)
    assert (task["lastStatus"], task["startedBy"]) == ("RUNNING", service["deployments"][0]["id"])
    binding = task["containers"][0]["networkBindings"][0]
    assert (binding["containerPort"], binding["bindIP"]) == (8888, "127.0.0.1")


def test_request_headers(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)

    given = {"X-Forwarded-For": "10.1.1.1", "X-Request-Id": "mine"}
    headers = running.get(f"/{api}", headers=given)[1]["headers"]

    assert headers["x-forwarded-for"] == "10.1.1.1,127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == str(running.settings.http_port)
    assert headers["x-request-id"] == "mine"
    assert not [name for name in headers if name.startswith("x-envoy")]
    root, _, rest = headers["x-amzn-trace-id"].partition("=")
    assert (root, [len(part) for part in rest.split("-")]) == ("Root", [1, 8, 24])
    kept = running.get(f"/{api}", headers={"X-Amzn-Trace-Id": "Root=1-5-6"})[1]["headers"]
    assert kept["x-amzn-trace-id"] == "Root=1-5-6"


def test_weights(running: Cloud) -> None:
    for name in ("heads", "tails"):
        running.group(name)
    rule = running.rule(900, "/coin", weights={"heads": 3, "tails": 1})
    for name in ("heads", "tails"):
        running.service(name, running.definition(ANSWER=name))
    for name in ("heads", "tails"):
        running.wait_for_rollout(name)

    seen = Counter(running.get("/coin")[1]["answer"] for _ in range(400))
    assert 240 < seen["heads"] < 360  # 300 expected, standard deviation 8.7

    targets = [{"TargetGroupArn": running.groups["heads"], "Weight": 0}, {"TargetGroupArn": running.groups["tails"]}]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}
    with Traffic(running, "/coin") as traffic:
        running.client("elbv2").modify_rule(RuleArn=rule, Actions=[action])
        running.plane.wake()
        until(lambda: {running.get("/coin")[1]["answer"] for _ in range(20)} == {"tails"})
    assert {status for status, _ in traffic.seen} == {200}


def test_target_that_closes_the_connection(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)

    assert running.get(f"/{api}?exit=3", method="POST", body=b"{}")[0] == 502

    (stopped,) = until(lambda: running.tasks(api, "STOPPED"))
    assert stopped["containers"][0]["exitCode"] == 3  # the request reached one replica, once


def test_draining_lets_requests_finish(running: Cloud, api: str, tmp_path: Path) -> None:
    release = tmp_path / "release"
    running.service(api, running.definition(ANSWER="slow"))
    running.wait_for_rollout(api)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.get, f"/{api}?until={release}")
        until(lambda: _in_flight(running) > 0)
        running.update(api, desiredCount=0)
        until(lambda: [item["TargetHealth"]["State"] for item in running.health(api)] == ["draining"])
        until(lambda: running.get(f"/{api}")[0] == 503)
        assert not slow.done()
        release.touch()
        status, content = slow.result()

    assert (status, content["answer"]) == (200, "slow")
    until(lambda: running.describe(api)["runningCount"] == 0 and not running.health(api))


def test_a_target_learns_that_a_client_has_gone(running: Cloud, api: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    running.service(api, running.definition())
    running.wait_for_rollout(api)

    client = http.client.HTTPConnection("127.0.0.1", running.settings.http_port)
    client.request("POST", f"/{api}?gone={gone}", b"{}")
    until(lambda: _in_flight(running) > 0)
    assert not gone.exists()
    client.close()

    until(gone.exists)


def _in_flight(running: Cloud) -> int:
    clusters = running.plane._envoy.ask_json("/clusters?format=json")["cluster_statuses"]
    stats = [stat for item in clusters for host in item.get("host_statuses", []) for stat in host["stats"]]
    return sum(int(stat.get("value", 0)) for stat in stats if stat["name"] == "rq_active")


def test_envoy_is_started_again(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="one"))
    running.wait_for_rollout(api)
    until(lambda: running.get(f"/{api}")[0] == 200)

    def process() -> int | None:
        envoy = running.plane._envoy._process
        return envoy.pid if envoy else None

    killed = process()
    assert killed
    os.kill(killed, signal.SIGKILL)

    def answers() -> bool:
        try:
            return running.get(f"/{api}")[0] == 200
        except OSError:
            return False

    until(lambda: process() not in (None, killed))
    until(answers)


def test_idle_timeout(running: Cloud, api: str) -> None:
    running.service(api, running.definition())
    running.wait_for_rollout(api)
    elb = running.client("elbv2")
    attribute = {"Key": "idle_timeout.timeout_seconds", "Value": "1"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=running.balancer, Attributes=[attribute])
    running.plane.wake()
    try:
        until(lambda: running.get(f"/{api}?sleep=2")[0] == 504)
    finally:
        attribute["Value"] = "60"
        elb.modify_load_balancer_attributes(LoadBalancerArn=running.balancer, Attributes=[attribute])
        running.plane.wake()
    until(lambda: running.get(f"/{api}?sleep=1.5")[0] == 200)


def test_a_second_load_balancer_shares_the_port(running: Cloud, api: str) -> None:
    running.service(api, running.definition(ANSWER="first"))
    running.wait_for_rollout(api)
    elb = running.client("elbv2")
    subnets = [subnet["SubnetId"] for subnet in running.client("ec2").describe_subnets()["Subnets"]][:2]
    second = elb.create_load_balancer(Name="second", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    action = {"Type": "forward", "TargetGroupArn": running.groups[api]}
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "MessageBody": "second"}}
    listener = elb.create_listener(LoadBalancerArn=second, Protocol="HTTP", Port=80, DefaultActions=[fixed])
    elb.create_rule(
        ListenerArn=listener["Listeners"][0]["ListenerArn"],
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/only-in-the-second"]}],
        Actions=[action],
    )
    running.plane.wake()

    until(lambda: running.get("/only-in-the-second")[0] == 200)
    assert running.get("/neither") == (404, {"error": "no such API"})
    elb.delete_load_balancer(LoadBalancerArn=second)
    running.plane.wake()
    until(lambda: running.get("/only-in-the-second")[0] == 404)
    assert running.get(f"/{api}")[0] == 200
