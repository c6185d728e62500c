"""A local cloud of each module's own, and its stacks, which go at the end of each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cortex_cdk.localcloud.endpoint import Endpoint
from tests.local.localcloud.stacks import (
    Stacks,
    running,
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("cloud") / "local") as endpoint:
        yield endpoint


@pytest.fixture
def stacks(cloud: Endpoint) -> Iterator[Stacks]:
    made = Stacks(cloud)
    yield made
    for stack in made.api.describe_stacks()["Stacks"]:
        made.api.update_termination_protection(StackName=stack["StackName"], EnableTerminationProtection=False)
        made.delete(stack["StackName"])
