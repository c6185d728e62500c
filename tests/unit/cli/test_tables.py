"""Tables of ``cortex cluster info`` and ``cortex env list``, as golden files for terminals of several widths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import pytest
from cortex_cli.cluster_report import print_info

from cortex_cdk.capacity.pricing import estimate
from cortex_cdk.clusters.running import planned_cluster
from cortex_cdk.config import Cluster
from cortex_cdk.environment import Environment
from cortex_cdk.status.cluster_info import ClusterInfo, GroupState
from tests.conftest import Cortex
from tests.golden_file import compare
from tests.unit.cli.test_get_report import api, splitter

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = [60, 80, 160]
PROD = Environment("prod", cluster="vision", region="eu-west-1", profile="vision-deployers")
CLUSTER = Cluster.default("vision", "eu-west-1")
RUNNING = planned_cluster(PROD, CLUSTER)
INFO = ClusterInfo(
    running=replace(RUNNING, resources=RUNNING.resources.model_copy(update={"version": "0.1.0"})),
    configuration=CLUSTER,
    status="UPDATE_COMPLETE",
    groups=tuple(GroupState(group, f"cortex-vision-{group.name}", 1, 2) for group in CLUSTER.instance_groups),
    cost=estimate(CLUSTER),
    apis=(api(), api("sentiment-of-reviews-in-twelve-languages"), splitter(iris=90, other=10)),
    dangers=(),
    dashboard="https://eu-west-1.console.aws.amazon.com/cloudwatch/home#dashboards:name=cortex-vision",
)


@pytest.mark.parametrize("width", WIDTHS)
def test_cluster_info(width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_info(INFO, PROD)
    compare(click.unstyle(capsys.readouterr().out), GOLDEN / f"cluster-info-{width}.txt")


@pytest.mark.parametrize("width", WIDTHS)
def test_environments(width: int, tmp_path: Path) -> None:
    cortex = Cortex(tmp_path / "home")
    cortex.ok("env", "configure", "prod", "--cluster", "vision", "--region", "eu-west-1", "--profile", "deployers")
    cortex.ok("env", "configure", "emulator", "--endpoint-url", "http://localstack.internal.example.com:4566")
    done = cortex.run("env", "list", environ={"COLUMNS": str(width)})
    compare(done.stdout, GOLDEN / f"env-list-{width}.txt")
