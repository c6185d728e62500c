"""Synthesis in a child process, as the deployer does it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cortex_stacks.feature_flags import FEATURE_FLAGS
from cortex_stacks.toolkit import specifications

from cortex_cdk.errors import ClusterError, DeployError
from cortex_cdk.synthesis.placeholders import placeholder_resources
from cortex_cdk.synthesis.specs import ClusterResources, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize
from tests.stacks.matrix import api_spec, cluster_spec, every_spec, splitter_spec

ROOT = Path(__file__).parents[2]


def test_templates_of_all_kinds_by_stack_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A user's project may hold modules of any name; none of them must be imported.
    for name in ("stacks", "constructs", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the project')")
    monkeypatch.chdir(tmp_path)
    specs = (cluster_spec("plain"), api_spec("plain"), splitter_spec("two"))
    templates = synthesize(SynthesisRequest(stacks=specs))
    assert set(templates) == {"cortex-plain-cluster", "cortex-types-api-plain", "cortex-types-split-two"}
    for spec in specs:
        assert templates[spec.stack_name]["Outputs"]["SpecDigest"]["Value"] == spec.digest


def test_a_missing_instance_group_is_told_with_what_to_do() -> None:
    without_inf = api_spec("inf", cluster="plain")
    with pytest.raises(DeployError, match=r"cluster plain has no instance group for compute\.inf") as failure:
        synthesize(SynthesisRequest(stacks=(without_inf,)))
    assert failure.value.hint == "add a group of inf instances to cluster.yaml and run: cortex cluster configure"


def test_a_failing_child_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDK_CONTEXT_JSON", "{not json")
    with pytest.raises(DeployError, match=r"the stacks cannot be synthesized: .*JSON") as failure:
        synthesize(SynthesisRequest(stacks=(splitter_spec("two"),)))
    assert "\n" not in failure.value.message


def test_specifications_survive_the_way_to_the_child() -> None:
    request = SynthesisRequest(stacks=tuple(every_spec()))
    again = SynthesisRequest.model_validate_json(request.model_dump_json())
    assert again == request
    assert [spec.digest for spec in again.stacks] == [spec.digest for spec in request.stacks]


def test_the_digest_tells_templates_apart() -> None:
    digests = {spec.digest for spec in (*every_spec(), api_spec("plain", cluster="plain"))}
    assert len(digests) == len(every_spec()) + 1


def test_outputs_of_another_version_are_refused_by_name() -> None:
    outputs = {"VpcId": "vpc-1", "Cluster": "demo"}
    with pytest.raises(ClusterError, match=r"lacks outputs .*Bucket.*"):
        ClusterResources.from_outputs(outputs)


# The stock toolkit


def test_cdk_json_repeats_the_feature_flags() -> None:
    settings = json.loads((ROOT / "cdk.json").read_text())
    assert settings["context"] == FEATURE_FLAGS
    assert settings["app"].endswith(" -m cortex_stacks.app")


def test_the_toolkit_gets_stacks_with_placeholders(tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(
        "class PythonPredictor:\n"
        "    def __init__(self, config):\n        pass\n"
        "    def predict(self, payload):\n        return payload\n"
    )
    config = tmp_path / "cortex.yaml"
    config.write_text(
        "- {name: a, kind: RealtimeAPI, predictor: {type: python, path: predictor.py}}\n"
        "- {name: b, kind: RealtimeAPI, predictor: {type: python, path: predictor.py}}\n"
        "- {name: ab, kind: TrafficSplitter, apis: [{name: a, weight: 10}, {name: b, weight: 90}]}\n"
    )
    context = {"config": str(config), "cluster": "demo"}
    specs = specifications(context.get)
    assert [spec.stack_name for spec in specs] == [
        "cortex-demo-cluster",
        "cortex-demo-api-a",
        "cortex-demo-api-b",
        "cortex-demo-split-ab",
    ]
    priorities = {spec.priority for spec in specs[1:] if spec.kind != "cluster"}
    assert len(priorities) == 3


def test_the_toolkit_takes_a_cluster_file(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("name: vision\nregion: eu-west-1\n")
    context = {"cluster": str(file)}
    [spec] = specifications(context.get)
    assert spec.kind == "cluster"
    assert (spec.cluster.name, spec.cluster.region) == ("vision", "eu-west-1")


def test_a_missing_configuration_is_told_in_one_line() -> None:
    app = [sys.executable, "-m", "cortex_stacks.app"]
    environment = {"CDK_CONTEXT_JSON": json.dumps({"config": "/nowhere/cortex.yaml"}), "PATH": "/usr/bin:/bin"}
    child = subprocess.run(app, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 1
    assert "/nowhere/cortex.yaml" in child.stderr.splitlines()[-1]


def test_placeholders_have_the_form_of_outputs() -> None:
    resources = placeholder_resources(cluster_spec("plain").cluster)
    assert ClusterResources.model_validate(resources.model_dump(mode="json")) == resources
