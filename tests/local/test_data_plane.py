"""The data plane with real processes behind a real Envoy, seen through boto3 and HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_plane_support import Cloud, cloud


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cloud]:
    with cloud(tmp_path / "state") as result:
        yield result


def test_a_service_answers_behind_the_load_balancer(running: Cloud) -> None:
    running.group("iris")
    running.rule(10, "/iris", "/iris/*", weights={"iris": 1})

    running.service("iris", running.definition(ANSWER="one"))
    service = running.wait_for_rollout("iris")

    assert (service["runningCount"], service["pendingCount"]) == (1, 0)
    status, content = running.get("/iris?x=1")
    assert (status, content["answer"], content["path"]) == (200, "one", "/iris?x=1")
    assert running.get("/other") == (404, {"error": "no such API"})
    assert [item["TargetHealth"]["State"] for item in running.health("iris")] == ["healthy"]
