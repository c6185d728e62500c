"""``--plan``: what would be done, the exit code that says whether anything would be, and not one write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import ROOT, Cortex
from tests.golden_file import compare

LOCAL_SPEED = "60"
GOLDEN = Path(__file__).parent / "plans"
CPU = {"name": "cpu", "instance_types": ["m6i.large"], "min_instances": 1, "max_instances": 2}
NEW = {"name": "new", "instance_types": ["m6i.xlarge"], "min_instances": 0, "max_instances": 2}
OTHER = {
    "kind": "RealtimeAPI",
    "predictor": {"type": "python", "path": "predictor.py"},
    "compute": {"cpu": "200m", "mem": "200Mi"},
}
PREDICTOR = (
    "class PythonPredictor:\n"
    "    def __init__(self, config):\n        pass\n"
    "    def predict(self, payload):\n        return payload\n"
)


class Project:
    """A folder whose ``cortex.yaml`` and predictor a test changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write()

    def write(self, *more: dict[str, Any], predictor: str = PREDICTOR, **changes: Any) -> str:
        api = {
            "name": "text",
            "kind": "RealtimeAPI",
            "predictor": {"type": "python", "path": "predictor.py", "env": {"TOKEN": "very-secret"}},
            "compute": {"cpu": "200m", "mem": "200Mi"},
            "autoscaling": {"min_replicas": 1, "max_replicas": 2},
            **changes,
        }
        (self.folder / "predictor.py").write_text(predictor)
        (self.folder / "cortex.yaml").write_text(yaml.safe_dump([api, *more]))
        return str(self.folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def cluster_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return cluster_of(tmp_path_factory.mktemp("cluster"), CPU)


def cluster_of(folder: Path, *groups: dict[str, Any], **settings: Any) -> str:
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump({"instance_groups": list(groups), **settings}))
    return str(file)


def everything(cortex: Cortex) -> Any:
    """All that a command could have written to the account."""
    cloudformation, s3, ecr = (cortex.aws(service) for service in ("cloudformation", "s3", "ecr"))
    stacks = cloudformation.describe_stacks()["Stacks"]
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    repositories = [one["repositoryName"] for one in ecr.describe_repositories()["repositories"]]
    builds = cortex.aws("codebuild").list_builds_for_project
    return (
        [(one["StackId"], one["StackStatus"], one.get("LastUpdatedTime"), one.get("Parameters")) for one in stacks],
        [cloudformation.list_change_sets(StackName=one["StackId"])["Summaries"] for one in stacks],
        [(one["Key"], one["ETag"]) for name in buckets for one in s3.list_objects_v2(Bucket=name).get("Contents", [])],
        [ecr.list_images(repositoryName=name)["imageIds"] for name in repositories],
        [one["logGroupName"] for one in cortex.aws("logs").describe_log_groups()["logGroups"]],
        builds(projectName="cortex-local-image-builder").get("ids") if stacks else None,
    )


def schema() -> Any:
    """The shape of a plan, as docs/ci.md gives it."""
    text = (ROOT / "docs" / "ci.md").read_text()
    return json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])


def planned(cortex: Cortex, *command: str, code: int = 2, golden: str | None = None) -> dict[str, Any]:
    """Plan, for people too where there is a golden file; nothing may have been written. Returns the JSON."""
    before = everything(cortex)
    scripted = cortex.run(*command, "--plan", "-o", "json")
    assert scripted.returncode == code, scripted.stdout + scripted.stderr
    said = scripted.stdout + scripted.stderr
    if golden:
        shown = cortex.run(*command, "--plan")
        assert shown.returncode == code, shown.stderr
        said += shown.stdout + shown.stderr
        compare(without_counts(shown.stdout), GOLDEN / f"{golden}.txt")
    assert everything(cortex) == before
    assert "very-secret" not in said
    plan: dict[str, Any] = json.loads(scripted.stdout)
    jsonschema.validate(plan, schema())
    assert plan["changes"] is (code == 2)
    return plan


def without_counts(text: str) -> str:
    """What a plan prints, without what each new resource, permission and check changes."""
    text = re.sub(r"\d+ resources", "N resources", text)
    return re.sub(r"(?m)^(checked|  permissions): .*", r"\1: ...", text)


def actions(plan: dict[str, Any]) -> dict[str, str]:
    return {stack["name"]: stack["action"] for stack in plan["stacks"]}


def changed(stack: dict[str, Any]) -> dict[str, str]:
    return {one["what"]: f"{one['action']} {one['replacement']}" for one in stack["resources"]}


def test_the_first_deployment_makes_the_cluster_too(cortex: Cortex, project: Project) -> None:
    cortex.ok("local", "up")
    plan = planned(cortex, "deploy", str(project.folder))
    assert actions(plan) == {"local": "create", "text": "create"}
    assert plan["images"] == ["text"]
    assert len(plan["stacks"][1]["resources"]) > 8
    assert any(one["what"].startswith("TCP 80 from 0.0.0.0/0 (everybody)") for one in plan["stacks"][0]["access"])
    assert plan["cost"]["before"] is None
    assert plan["cost"]["after"]["monthly"]["max"] > 0


def test_a_cluster_is_planned_and_then_unchanged(cortex: Cortex, cluster_file: str) -> None:
    plan = planned(cortex, "cluster", "up", cluster_file, golden="new-cluster")
    assert actions(plan) == {"local": "create"}
    assert "the machine images of the region" in plan["checked"]
    cortex.ok("cluster", "up", cluster_file, "--yes")
    for command in (("up",), ("configure", cluster_file)):
        assert actions(planned(cortex, "cluster", *command, code=0)) == {"local": "nothing"}


def test_a_first_deployment_and_an_unchanged_one(cortex: Cortex, cluster_file: str, project: Project) -> None:
    del cluster_file
    splitter = {
        "name": "both",
        "kind": "TrafficSplitter",
        "apis": [{"name": "text", "weight": 60}, {"name": "other", "weight": 40}],
    }
    two = project.write({**OTHER, "name": "other"}, splitter)
    plan = planned(cortex, "deploy", two, golden="first-deployment")
    assert actions(plan) == {"text": "create", "other": "create", "both": "create"}
    cortex.ok("deploy", project.write(), "--yes")
    assert cortex.run("deploy", str(project.folder), "--plan").stdout == "nothing to change\n"
    unchanged = planned(cortex, "deploy", str(project.folder), code=0)
    assert actions(unchanged) == {"text": "nothing"}


def test_what_an_update_changes(cortex: Cortex, project: Project) -> None:
    scaled = planned(cortex, "deploy", project.write(autoscaling={"min_replicas": 1, "max_replicas": 5}))
    (stack,) = scaled["stacks"]
    assert changed(stack) == {"scalable target": "modify no"}
    assert stack["replaces_replicas"] is False
    assert scaled["cost"]["before"]["hourly"] == scaled["cost"]["after"]["hourly"], "one instance has room for five"

    larger = project.write(predictor=f"{PREDICTOR}# changed\n", compute={"cpu": "1500m", "mem": "200Mi"})
    plan = planned(cortex, "deploy", larger, golden="update")
    (stack,) = plan["stacks"]
    assert changed(stack)["task definition"] == "modify yes"
    assert changed(stack)["service"] == "modify no"
    assert stack["replaces_replicas"] is True
    assert stack["differences"]["files"]["changed"] == ["predictor.py"]
    assert plan["cost"]["after"]["hourly"]["max"] > plan["cost"]["before"]["hourly"]["max"]


def test_an_update_that_needs_another_image_says_so(cortex: Cortex, project: Project) -> None:
    requirements = project.folder / "requirements.txt"
    requirements.write_text("idna==3.10\n")
    plan = planned(cortex, "deploy", project.write())
    requirements.unlink()
    assert plan["images"] == ["text"]
    assert actions(plan) == {"text": "update"}


def test_what_stands_in_the_way_is_an_error(cortex: Cortex, project: Project) -> None:
    done = cortex.run("deploy", project.write(compute={"cpu": 64, "mem": "200Mi"}), "--plan", "-o", "json")
    assert done.returncode == 1
    assert "no instance of cluster local has room" in done.stderr
    assert "no instance of cluster local has room" in json.loads(done.stdout)["error"]["message"]


def test_what_a_cluster_loses_is_named(cortex: Cortex, tmp_path: Path) -> None:
    """The group on which the API runs cannot go; another one can, in red on a terminal."""
    assert cortex.json("cluster", "configure", cluster_of(tmp_path, CPU, NEW), "--yes")["changed"]
    narrower = {"load_balancer": {"allowed_cidrs": ["10.0.0.0/8"]}, "tags": {"team": "vision"}}
    file = cluster_of(tmp_path, {**CPU, "max_instances": 3}, **narrower)
    plan = planned(cortex, "cluster", "configure", file, golden="cluster-change")
    (stack,) = plan["stacks"]
    lost = {one["what"] for one in stack["resources"] if one["loses_state"]}
    assert lost == {"auto scaling group (new)"}
    assert stack["tags_change"] is True
    assert not [one for one in stack["access"] if one["widens"]], "10.0.0.0/8 was admitted before"
    assert plan["cost"]["after"]["monthly"]["max"] < plan["cost"]["before"]["monthly"]["max"]
    everybody = {"allowed_cidrs": ["0.0.0.0/0", "::/0"]}
    wider = planned(cortex, "cluster", "configure", cluster_of(tmp_path, CPU, NEW, load_balancer=everybody))
    assert [one["what"] for one in wider["stacks"][0]["access"] if one["widens"]] == [
        "TCP 80 from ::/0 (everybody) into the door security group"
    ]


def test_a_cluster_that_stays_as_it_is_is_told_to_scripts(cortex: Cortex) -> None:
    name, *_ = (told := cortex.json("cluster", "up", "--yes")).values()
    assert told == {
        "name": name,
        "endpoint": cortex.json("cluster", "info")["endpoint"],
        "message": f"the cluster {name} is up to date",
        "changed": False,
    }
