"""A cluster that gets its first certificate while APIs run on it: they answer on https without being deployed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

from tests.conftest import Cortex
from tests.local.clusters.test_cluster import self_signed, write

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers):
        return headers["x-forwarded-proto"]
"""
APIS = {"one": "/deep/one", "two": "/deep"}


def project(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    apis: list[dict[str, Any]] = [
        {
            "name": name,
            "kind": "RealtimeAPI",
            "predictor": {"type": "python", "path": "predictor.py"},
            "networking": {"endpoint": endpoint},
            "compute": {"mem": "200Mi"},
        }
        for name, endpoint in APIS.items()
    ]
    members = [{"name": "one", "weight": 50}, {"name": "two", "weight": 50}]
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "cortex.yaml").write_text(
        json.dumps([*apis, {"name": "all", "kind": "TrafficSplitter", "apis": members}])
    )
    return str(folder)


def answers(cortex: Cortex) -> dict[str, tuple[int, str, str | None]]:
    """What each endpoint answers: status, body, and which API that was."""
    found = {}
    for name in (*APIS, "all"):
        endpoint = cortex.json("get", name)["endpoint"]
        answer = requests.post(endpoint, json={}, timeout=30, verify=False)
        found[name] = answer.status_code, answer.text, answer.headers.get("X-Cortex-Api")
    return found


def test_what_is_deployed_follows(cortex: Cortex, tmp_path: Path) -> None:
    cortex.ok("cluster", "up", write(tmp_path), "--yes")
    cortex.ok("deploy", project(tmp_path / "project"))
    assert {(status, scheme) for status, scheme, _ in answers(cortex).values()} == {(200, "http")}
    plain = cortex.json("get", "one")["endpoint"]
    replicas = set(cortex.aws("ecs").list_tasks(cluster="cortex-local")["taskArns"])

    arn = cortex.aws("acm").import_certificate(**self_signed())["CertificateArn"]
    said = cortex.ok("cluster", "configure", write(tmp_path, load_balancer={"certificate_arn": arn}), "--yes")
    assert "Route 53" not in said, "no DNS record leads to an address of this machine"

    secure = answers(cortex)
    assert {(status, scheme) for status, scheme, _ in secure.values()} == {(200, "https")}
    assert [secure[name][2] for name in APIS] == list(APIS)
    assert all(api["endpoint"].startswith("https://") for api in cortex.json("get"))
    assert requests.post(plain, json={}, timeout=30, allow_redirects=False).status_code == 301
    assert set(cortex.aws("ecs").list_tasks(cluster="cortex-local")["taskArns"]) == replicas, "none was replaced"
    # Their next deployment tells the replicas the new address (CORTEX_BASE_URL).
    assert cortex.run("deploy", project(tmp_path / "project")).returncode == 0, "they can be deployed as ever"
    again = answers(cortex)
    assert {name: again[name] for name in APIS} == {name: secure[name] for name in APIS}
    assert again["all"][:2] == (200, "https"), "whichever member answers"
