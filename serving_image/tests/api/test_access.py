"""Who may use an API: clients with a key (``networking.auth``), and web pages of some origins (``networking.cors``)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_serving.access.gate import Gate
from cortex_serving.access.key_source import KeyFile, KeyWatch
from cortex_serving.access.origins import Origins, is_loopback
from cortex_serving.formats import access_keys
from cortex_serving.formats.access_keys import AccessKey
from tests.conftest import Replica, eventually, running, task, write_project

ECHO = """
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload, headers):
        print("HEADERS", dict(headers))
        return {name: value for name, value in headers.items() if name in ("authorization", "x-api-key")}
"""
PAGE, OTHER_PAGE = "https://app.example", "https://evil.example"
MADE = {name: access_keys.generate() for name in ("good", "revoked", "expired", "elsewhere", "unknown")}
KEYS = {name: key for name, (key, _, _) in MADE.items()}


def _kept(name: str, **fields: Any) -> AccessKey:
    return AccessKey(id=MADE[name][1], name=name, sha256=MADE[name][2], **fields)


KEPT = (
    _kept("good", apis=("api", "other")),
    _kept("revoked", revoked=1.0),
    _kept("expired", expires=time.time() - 1),
    _kept("elsewhere", apis=("other",)),
)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module", params=["fast", "stock"])
def replica(
    request: pytest.FixtureRequest, key_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replica]:
    """A replica in a task of a cluster on this machine, which asks for keys and is open to pages of one origin."""
    key_file.write_bytes(access_keys.write(KEPT))
    networking = {"auth": "api_key", "cors": [PAGE]}
    project = write_project(tmp_path_factory.mktemp("project"), ECHO, networking=networking, max_body_bytes=50_000_000)
    environ = {"CORTEX_KEYS": str(key_file), "CORTEX_HTTP": request.param}
    with running([], {**task(project, stop_timeout=5), **environ}) as replica:
        yield replica


def _bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[name]}"}


def test_a_good_key_is_let_in_by_either_header_and_is_hidden_from_the_predictor(replica: Replica) -> None:
    assert replica.post({}, headers=_bearer("good")).json() == {}
    assert replica.post({}, headers={"X-Api-Key": KEYS["good"]}).json() == {}
    both = {"X-Api-Key": KEYS["good"], "Authorization": "Basic bXk6b3du"}
    assert replica.post({}, headers=both).json() == {"authorization": "Basic bXk6b3du"}
    assert replica.get("/api", headers=_bearer("good")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({}, 401, "needs a key"),
        ({"Authorization": "Basic bXk6b3du"}, 401, "needs a key"),
        ({"Authorization": "Bearer"}, 401, "not a key"),
        ({"Authorization": "Bearer cortex_0_x"}, 401, "not a key"),
        ({"X-Api-Key": KEYS["good"][:-1]}, 401, "not a key"),
        ({"X-Api-Key": f"{KEYS['good']} {KEYS['good']}"}, 401, "not a key"),
        ({"X-Api-Key": "x" * 60_000}, 401, "not a key"),
        ({"X-Api-Key": "x" * 100_000}, 431, "exceeds"),
        (_bearer("unknown"), 401, "not one of"),
        ({"X-Api-Key": KEYS["good"][:-1] + ("a" if KEYS["good"][-1] != "a" else "b")}, 401, "not one of"),
        ({"X-Api-Key": f"cortex_{MADE['good'][1]}_{KEYS['revoked'].rpartition('_')[2]}"}, 401, "not one of"),
        (_bearer("revoked"), 403, "revoked was revoked"),
        (_bearer("expired"), 403, "expired has expired"),
        (_bearer("elsewhere"), 403, "not for the API api"),
    ],
)
def test_others_are_not(replica: Replica, headers: dict[str, str], status: int, said: str) -> None:
    answer = replica.post({}, headers=headers)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    assert status == 431 or answer.json()["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/", "/api", "/api/openapi.json", "/api/below", "//healthz"])
def test_every_path_and_method_needs_a_key(replica: Replica, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        assert replica.session.request(method, replica.address + path, timeout=10).status_code == 401, method
    assert replica.post({}, path="/healthz").status_code == 401


def test_health_probes_and_preflights_need_none(replica: Replica) -> None:
    assert replica.get("/healthz").status_code == replica.get("/readyz").status_code == 200
    preflight = replica.session.options(replica.address + "/api", headers={"Origin": PAGE}, timeout=10)
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, PAGE)


def test_the_body_of_a_refused_request_is_not_waited_for(replica: Replica) -> None:
    with replica.connect() as connection:
        head = b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nWww-Authenticate: Bearer\r\n" in answer


def test_requests_are_logged_with_the_name_of_the_key_and_no_secret_is(replica: Replica) -> None:
    answer = replica.post({}, headers=_bearer("good"))
    refused = replica.post({}, headers=_bearer("revoked"))
    lines = eventually(lambda: replica.records(source="access", request_id=answer.headers["X-Request-Id"]))
    assert [line["key"] for line in lines] == ["good"]
    lines = eventually(lambda: replica.records(source="access", request_id=refused.headers["X-Request-Id"]))
    assert [(line["key"], line["status"]) for line in lines] == [("revoked", 403)]
    eventually(lambda: "HEADERS" in replica.log())
    log = replica.log()
    assert not [name for name, key in KEYS.items() if key.rpartition("_")[2] in log]


def test_pages_of_other_origins_may_not_use_it(replica: Replica) -> None:
    allowed = replica.post({}, headers={**_bearer("good"), "Origin": PAGE})
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
    assert allowed.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    for origin in (OTHER_PAGE, "null", f"{PAGE}.evil.example", PAGE.upper()):
        refused = replica.post({}, headers={**_bearer("good"), "Origin": origin})
        assert (refused.status_code, refused.headers.get("Access-Control-Allow-Origin")) == (403, None)
        preflight = replica.session.options(replica.address + "/api", headers={"Origin": origin}, timeout=10)
        assert "Access-Control-Allow-Origin" not in preflight.headers
    own = replica.post({}, headers={**_bearer("good"), "Origin": replica.address})
    assert own.status_code == 200
    # A page must be able to read why it was refused.
    keyless = replica.post({}, headers={"Origin": PAGE})
    assert (keyless.status_code, keyless.headers["Access-Control-Allow-Origin"]) == (401, PAGE)


def test_keys_change_while_the_replica_runs(replica: Replica, key_file: Path) -> None:
    new, id, sha256 = access_keys.generate()
    key_file.write_bytes(access_keys.write((*KEPT, AccessKey(id, "new", sha256))))
    eventually(lambda: replica.post({}, headers={"X-Api-Key": new}).status_code == 200)
    key_file.write_bytes(access_keys.write((*KEPT, AccessKey(id, "new", sha256, revoked=1.0))))
    eventually(lambda: replica.post({}, headers={"X-Api-Key": new}).status_code == 403)
    key_file.write_text("{")  # what cannot be read changes nothing, for a while
    eventually(lambda: replica.messages(event="keys_unreadable"))
    assert replica.post({}, headers=_bearer("good")).status_code == 200
    key_file.write_bytes(access_keys.write(()))
    eventually(lambda: replica.post({}, headers=_bearer("good")).status_code == 401)
    key_file.write_bytes(access_keys.write(KEPT))
    eventually(lambda: replica.post({}, headers=_bearer("good")).status_code == 200)


def test_openapi_says_that_a_key_is_needed(replica: Replica) -> None:
    document = replica.get("/api/openapi.json", headers=_bearer("good")).json()
    schemes = document["components"]["securitySchemes"]
    assert sorted(scheme["type"] for scheme in schemes.values()) == ["apiKey", "http"]
    assert [list(way) for way in document["security"]] == [[name] for name in schemes]
    assert {"401", "403"} <= document["paths"]["/api"]["post"]["responses"].keys()


def test_batches_are_for_those_who_are_let_in_and_keys_are_counted(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_bytes(access_keys.write(KEPT))
    batching = {"max_batch_size": 2, "batch_interval": "10ms"}
    code = """
    class PythonPredictor:
        def __init__(self, config): pass
        def predict(self, payload):
            print("PREDICTED", payload)
            return payload
    """
    project = write_project(
        tmp_path / "project", code, server_side_batching=batching, networking={"auth": "api_key", "cors": False}
    )
    with running([str(project), "--listen", "127.0.0.1:0"], {"CORTEX_KEYS": str(keys)}) as replica:
        assert replica.post(1, headers=_bearer("good")).json() == 1
        assert replica.post(2).status_code == 401
        assert replica.post(3, headers={**_bearer("good"), "Origin": PAGE}).status_code == 403
        assert replica.post(4, headers=_bearer("good")).json() == 4
        assert replica.stop() == 0
    [metrics] = [line for line in replica.lines if "KeyRequests" in line]
    assert (metrics["Key"], metrics["KeyRequests"]) == ("good", 2)
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Api", "Key"]]
    assert "PREDICTED [2]" not in replica.log()
    assert "PREDICTED [3]" not in replica.log()


def test_an_api_on_a_loopback_address_is_for_pages_of_this_machine(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", ECHO)
    environ = {**task(project, stop_timeout=5), "CORTEX_BASE_URL": "http://127.0.0.1:8888"}
    with running([], environ) as replica:
        for origin in ("http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443", "http://app.localhost"):
            assert replica.post({}, headers={"Origin": origin}).headers["Access-Control-Allow-Origin"] == origin
        rebound = replica.address.replace("http://127.0.0.1", "http://evil.example")
        for origin in (PAGE, "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example", rebound):
            refused = replica.post({}, headers={"Origin": origin, "Host": origin.partition("://")[2] or "x"})
            assert (refused.status_code, refused.headers.get("Access-Control-Allow-Origin")) == (403, None), origin
        assert replica.post({}).status_code == 200


@pytest.mark.parametrize(
    ("networking", "environ", "said"),
    [
        ({"auth": "api_key"}, {}, "CORTEX_KEYS is not set"),
        ({"auth": "api_key"}, {"CORTEX_KEYS": "/nowhere/keys.json"}, "cannot read the API keys in /nowhere/keys.json"),
        ({"auth": "api_key"}, {"CORTEX_KEYS": "s3://bucket"}, "must be s3://bucket/key"),
        ({"auth": "apikey"}, {}, "networking.auth is 'apikey'"),
    ],
)
def test_a_replica_that_does_not_know_whom_to_let_in_does_not_serve(
    tmp_path: Path, networking: dict[str, Any], environ: dict[str, str], said: str
) -> None:
    project = write_project(tmp_path / "project", ECHO, networking=networking)
    with running([str(project), "--listen", "127.0.0.1:0"], environ, ready=False) as replica:
        assert replica.process.wait(30) == 1
        eventually(lambda: said in replica.log())


@given(st.text())
def test_no_text_but_a_key_is_taken_for_one(text: str) -> None:
    assert access_keys.split(text) is None
    assert access_keys.split(KEYS["good"] + text) is None or not text


def test_keys_have_one_form_and_the_document_keeps_no_secret() -> None:
    keys = [access_keys.generate() for _ in range(200)]
    assert len({id for _, id, _ in keys}) == len(keys)
    for key, id, sha256 in keys:
        found = access_keys.split(key)
        assert found is not None
        assert (found[0], access_keys.digest(found[1])) == (id, sha256)
        assert len(found[1]) * 5.95 > 128
    document = access_keys.write(KEPT)
    assert access_keys.read(document) == KEPT
    assert not any(key.rpartition("_")[2].encode() in document for key in KEYS.values())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"keys": [1]}', '{"keys": [{"id": "x"}]}', '{"keys": null}', "[" * 9999]
)
def test_a_document_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        access_keys.read(text.encode())


def test_a_name_that_logs_could_not_show_is_refused() -> None:
    document = json.loads(access_keys.write(KEPT))
    document["keys"][0]["name"] = 'a","level":"x'
    with pytest.raises(ValueError, match="cannot be the name of a key"):
        access_keys.read(json.dumps(document).encode())


def test_nobody_is_let_in_while_the_keys_are_not_known() -> None:
    gate = Gate("api", Origins(None, ""), asks_for_key=True)
    refusal = gate.judge("POST", "/api", {"X_API_KEY": KEYS["good"]}).refusal
    assert refusal is not None
    assert str(refusal.status).startswith("503")


def test_keys_that_cannot_be_read_are_good_for_a_while_only(tmp_path: Path) -> None:
    source, told, warned = tmp_path / "keys.json", list[Path | None](), list[str]()
    source.write_bytes(access_keys.write(KEPT))
    KeyWatch(KeyFile(source), tmp_path / "copy.json", tell=told.append, warn=warned.append, grace=1.0).start()
    assert [path and access_keys.read(path.read_bytes()) for path in told] == [KEPT]
    source.rename(tmp_path / "away.json")
    eventually(lambda: told[-1] is None)
    assert ["cannot read" in reason for reason in warned] == [True, True]
    (tmp_path / "away.json").rename(source)
    eventually(lambda: told[-1] is not None)


@pytest.mark.parametrize(
    ("base_url", "host", "origin", "refused"),
    [
        ("", "127.0.0.1:8888", OTHER_PAGE, False),
        ("http://lb.example.com", "lb.example.com", OTHER_PAGE, False),
        ("http://127.0.0.1:8888", "127.0.0.1:8888", OTHER_PAGE, True),
        ("http://127.0.0.1:8888", "evil.example", "http://evil.example", True),
        ("http://127.0.0.1:8888", "127.0.0.1:8888", "http://localhost:3000", False),
        ("https://api.example.com", "127.0.0.1:8443", OTHER_PAGE, True),  # a cluster with a domain, in the local cloud
        ("https://api.example.com", "api.example.com", OTHER_PAGE, False),
    ],
)
def test_the_default_of_pages(base_url: str, host: str, origin: str, refused: bool) -> None:
    assert (Origins(None, base_url).refusal({"ORIGIN": origin, "HOST": host}) is not None) == refused


def test_what_counts_as_this_machine() -> None:
    here = ["http://localhost", "http://127.1.2.3:80", "http://[::1]", "https://a.localhost:1"]
    elsewhere = [
        "",
        "http://",
        "http://example.com",
        "http://localhost.com",
        "http://127.0.0.1.nip.io",
        "null",
        "http://[x",
    ]
    assert [url for url in here + elsewhere if is_loopback(url)] == here
