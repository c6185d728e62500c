"""A data plane of each module's own, and an endpoint of each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.localcloud.data_plane_support import Cloud, cloud


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud(tmp_path_factory.mktemp("state")) as result:
        yield result


@pytest.fixture
def api(running: Cloud, request: pytest.FixtureRequest) -> Iterator[str]:
    """An endpoint ``/<name>`` that forwards to a target group of the same name; its service goes at the end."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:30].rstrip("-")
    running.group(name)
    running.rule(len(running.groups), f"/{name}", f"/{name}/*", weights={name: 1})
    yield name
    ecs = running.client("ecs")
    if ecs.describe_services(cluster="main", services=[name])["services"]:
        ecs.delete_service(cluster="main", service=name, force=True)
        running.plane.wake()
