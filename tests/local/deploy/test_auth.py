"""API keys and web pages, by the real executable: who is let in to an API, and to the local load balancer at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import Cortex
from tests.local.waiting import until

LOCAL_SPEED = "20"
PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers):
        print("headers:", dict(headers))
        return {"seen": [name for name in ("authorization", "x-api-key") if name in headers]}
"""
PAGE, OTHER_PAGE = "https://app.example.com", "https://evil.example"


def api(name: str, **networking: Any) -> dict[str, Any]:
    predictor = {"type": "python", "path": "predictor.py"}
    compute = {"cpu": "50m", "mem": "200Mi"}
    return {"name": name, "kind": "RealtimeAPI", "predictor": predictor, "compute": compute, "networking": networking}


def splitter(**networking: Any) -> dict[str, Any]:
    members = [{"name": "first", "weight": 50}, {"name": "second", "weight": 50}]
    return {"name": "both", "kind": "TrafficSplitter", "apis": members, "networking": networking}


def write(folder: Path, *resources: dict[str, Any]) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "cortex.yaml").write_text(json.dumps(resources))  # JSON is YAML
    return str(folder)


class Deployed:
    """Two APIs that ask for keys, a splitter of both, and where the load balancer answers."""

    def __init__(self, cortex: Cortex) -> None:
        self.cortex = cortex
        self.key = cortex.ok("key", "create", "partner").strip()
        self.short = cortex.json("key", "create", "short", "--api", "first", "--expires", "1d")
        url = urlsplit(cortex.json("get", "first")["endpoint"])
        self.url = f"{url.scheme}://{url.netloc}"

    def post(self, name: str, key: str | None = None, **headers: str) -> requests.Response:
        given = {"X-Api-Key": key} if key else {}
        return requests.post(f"{self.url}/{name}", json={}, headers={**headers, **given}, timeout=30)


@pytest.fixture(scope="module")
def deployed(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    folder = tmp_path_factory.mktemp("auth") / "project"
    done = cortex.run(
        "deploy", write(folder, api("first", auth="api_key", cors=[PAGE]), api("second", auth="api_key"), splitter())
    )
    assert done.returncode == 0, done.stderr
    assert "requests need an API key, and there is none yet (make one with: cortex key create NAME)" in done.stderr
    return Deployed(cortex)


def test_a_key_opens_apis_and_splitters_and_is_kept_from_logs(deployed: Deployed) -> None:
    cortex, key = deployed.cortex, deployed.key
    assert deployed.post("first").status_code == 401
    until(lambda: deployed.post("first", key).status_code == deployed.post("second", key).status_code == 200)
    for name in ("first", "both"):  # what is printed to be copied says where the key goes
        assert f"try it: CORTEX_API_KEY=KEY cortex predict {name} FILE\n" in cortex.ok("get", name)
    assert [deployed.post("both", key).json() for _ in range(4)] == [{"seen": []}] * 4
    assert {deployed.post("both").status_code for _ in range(4)} == {401}
    assert requests.get(f"{deployed.url}/first/openapi.json", timeout=30).status_code == 401
    sent = cortex.run("predict", "first", "-", stdin="{}", environ={"CORTEX_API_KEY": key})
    assert json.loads(sent.stdout) == {"seen": []}
    refused = cortex.run("predict", "first", "-", stdin="{}")
    assert "hint: give the key in CORTEX_API_KEY; make one with: cortex key create NAME" in refused.stderr
    wrong = cortex.run("predict", "first", "-", stdin="{}", environ={"CORTEX_API_KEY": key[:-1]})
    blank = cortex.run("predict", "first", "-", stdin="{}", environ={"CORTEX_API_KEY": f"{key} x"})
    secret = key.rpartition("_")[2][:-1]
    for failed in (refused, wrong, blank):
        assert failed.returncode == 1
        assert secret not in failed.stdout + failed.stderr
    records = [json.dumps(event) for event in events(cortex)]
    assert any('"key":"partner"' in json.loads(record)["message"] for record in records)
    assert not [record for record in records if secret in record]


def events(cortex: Cortex) -> list[dict[str, Any]]:
    """Everything in the logs of the two APIs, once the access lines of requests with a key are there."""
    logs = cortex.aws("logs")

    def found() -> list[dict[str, Any]]:
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        read = [event for group in groups for event in logs.filter_log_events(logGroupName=group)["events"]]
        return read if any('"key":"partner"' in event["message"] for event in read) else []

    until(lambda: bool(found()))
    return [{"message": event["message"]} for event in found()]


def test_requests_are_counted_for_each_key(deployed: Deployed) -> None:
    def counted() -> bool:
        listed = deployed.cortex.aws("cloudwatch").list_metrics(Namespace="Cortex", MetricName="KeyRequests")["Metrics"]
        keys = [{one["Name"]: one["Value"] for one in metric["Dimensions"]} for metric in listed]
        return {"Cluster": "local", "Api": "first", "Key": "partner"} in keys

    until(lambda: deployed.post("first", deployed.key).status_code == 200)
    until(counted)


def test_a_revoked_key_is_refused_without_a_restart(deployed: Deployed) -> None:
    cortex, only_first = deployed.cortex, deployed.short
    until(lambda: deployed.post("first", only_first["key"]).status_code == 200)
    until(lambda: deployed.post("second", only_first["key"]).status_code == 403)
    running = cortex.replicas()
    cortex.json("key", "revoke", "short")
    until(lambda: deployed.post("first", only_first["key"]).status_code == 403)
    assert cortex.replicas() == running
    listed = {key["name"]: key for key in cortex.json("key", "list")}
    assert (listed["short"]["apis"], bool(listed["short"]["revoked"])) == (["first"], True)
    assert only_first["key"].rpartition("_")[2] not in json.dumps(listed)
    bucket = cortex.json("cluster", "info")["resources"]["bucket"]
    kept = cortex.aws("s3").get_object(Bucket=bucket, Key="access/keys.json")["Body"].read().decode()
    assert only_first["key"].rpartition("_")[2] not in kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "partner"), "there is a key partner already"),
        (("create", "a b"), "'a b' cannot be the name of a key"),
        (("create", "x", "--api", "both"), "both is a traffic splitter, and a key is for APIs"),
        (("create", "x", "--api", "none"), "no API named none is deployed"),
        (("create", "x", "--expires", "soon"), "'soon' is not a duration such as 12h or 90d"),
        (("revoke", "nobody"), "there is no key nobody"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(deployed: Deployed, arguments: tuple[str, ...], said: str) -> None:
    done = deployed.cortex.run("key", *arguments)
    assert done.returncode != 0
    assert said in done.stderr


def test_pages_use_the_apis_that_name_them_and_others_none(deployed: Deployed) -> None:
    until(lambda: deployed.post("first", deployed.key).status_code == 200)
    allowed = deployed.post("first", deployed.key, Origin=PAGE)
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
    preflight = requests.options(
        f"{deployed.url}/first",
        headers={
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        },
        timeout=30,
    )
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Headers"]) == (204, "x-api-key")
    for name in ("first", "second", "both"):
        refused = deployed.post(name, deployed.key, Origin=OTHER_PAGE)
        assert (refused.status_code, refused.headers.get("Access-Control-Allow-Origin")) == (403, None), name
    mine = deployed.post("second", deployed.key, Origin="http://localhost:3000")
    assert mine.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_the_load_balancer_answers_to_names_of_this_machine_only(deployed: Deployed) -> None:
    port = urlsplit(deployed.url).port
    for host in ("localhost", f"127.0.0.1:{port}", f"LOCALHOST:{port}", f"[::1]:{port}", "app.localhost"):
        assert deployed.post("first", Host=host).status_code == 401, host
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example"):
        answer = deployed.post("first", deployed.key, Host=host)
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (421, None), host
        assert answer.json()["message"].startswith("The local cloud's load balancer answers only to 127.0.0.1")


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        (
            (api("first", auth="api_key"), api("second"), splitter()),
            "the APIs of the traffic splitter both do not ask for the same: first asks for an API key, "
            "second asks for nothing",
        ),
        ((api("second"),), "the APIs of the traffic splitter both do not ask for the same"),
        (
            (api("third", auth={"jwt": {"issuer": PAGE, "jwks": f"{PAGE}/keys"}}),),
            "networking.auth.jwt needs HTTPS, and cluster local has none",
        ),
    ],
)
def test_a_way_around_is_refused_before_anything_is_made(
    deployed: Deployed, tmp_path: Path, resources: tuple[dict[str, Any], ...], said: str
) -> None:
    done = deployed.cortex.run("deploy", write(tmp_path / "project", *resources))
    assert done.returncode == 1
    assert said in done.stderr
    assert [one["name"] for one in deployed.cortex.json("get")] == ["first", "second", "both"]
