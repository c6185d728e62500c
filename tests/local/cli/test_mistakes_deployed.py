"""What users do wrong with a cluster at hand, and what fails in their code: what is deployed stays as it is."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path

import pytest

from tests.conftest import Cortex
from tests.local import micromamba
from tests.local.cli.mistakes import CONFIG, PREDICTOR, Mistake, commit, config, filled, predictor, write_files

GOOD = """\
- name: good
  kind: RealtimeAPI
  predictor: {type: python, path: predictor.py}
  compute: {cpu: 50m, mem: 128Mi}
- name: other
  kind: RealtimeAPI
  predictor: {type: python, path: predictor.py}
  compute: {cpu: 50m, mem: 128Mi}
- name: half
  kind: TrafficSplitter
  apis:
    - {name: good, weight: 50}
    - {name: other, weight: 50}
"""
# Answers with the status that it is asked for.
ANSWERING = PREDICTOR.replace(
    "return payload",
    'if payload["status"] == 500:\n            raise RuntimeError("no model for this")\n        return payload',
)
WITHOUT_CLUSTER = (
    "default: local\nenvironments:\n- {name: emulator, cluster: other, region: us-east-1, endpoint_url: '{control}'}\n"
)
KEYS = {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
SPLITTER = "- name: part\n  kind: TrafficSplitter\n  apis: [{name: good, weight: 50}, {name: gone, weight: 50}]\n"
NAMED_OTHER = SPLITTER.replace("part", "other\n  networking: {endpoint: /part}")


def init(*lines: str) -> dict[str, str]:
    """A predictor whose ``__init__`` does this."""
    return predictor("        pass\n", textwrap.indent("\n".join(lines) + "\n", "        "))


REFUSED = [
    Mistake("get-unknown", arguments=("get", "gone")),
    Mistake("get-unknown-in-environment", arguments=("get", "gone", "--env", "local")),
    Mistake("logs-unknown", arguments=("logs", "gone")),
    Mistake("refresh-unknown", arguments=("refresh", "gone")),
    Mistake("delete-unknown", arguments=("delete", "gone")),
    Mistake("predict-unknown", {"sample.json": "{}"}, arguments=("predict", "gone", "sample.json")),
    Mistake("predict-not-json", {"sample.json": "{status: 200}"}, arguments=("predict", "good", "sample.json")),
    Mistake("predict-500", {"sample.json": '{"status": 500}'}, arguments=("predict", "good", "sample.json")),
    Mistake("logs-of-a-splitter", arguments=("logs", "half")),
    Mistake("refresh-a-splitter", arguments=("refresh", "half")),
    Mistake("delete-what-a-splitter-uses", arguments=("delete", "good")),
    Mistake("member-not-deployed", {"cortex.yaml": SPLITTER}),
    Mistake("member-is-a-splitter", {"cortex.yaml": SPLITTER.replace("gone", "half")}),
    Mistake("endpoint-of-another-api", {"cortex.yaml": CONFIG + "  networking: {endpoint: /good}\n"}),
    Mistake("name-of-a-splitter", config("name: text", "name: half")),
    Mistake("name-of-an-api", {"cortex.yaml": CONFIG + NAMED_OTHER.replace("gone", "text")}),
    Mistake("several-findings", {"cortex.yaml": NAMED_OTHER + CONFIG + "  networking: {endpoint: /good}\n"}),
    Mistake("more-than-any-instance-has", config("{cpu: 50m, mem: 128Mi}", "{cpu: 50, mem: 1000Gi}")),
    Mistake("no-inferentia", config("{cpu: 50m, mem: 128Mi}", "{inf: 1}")),
    Mistake("no-cluster", arguments=("deploy", "--env", "emulator"), environ=KEYS),
    Mistake("get-without-cluster", arguments=("get", "good", "--env", "emulator"), environ=KEYS),
    Mistake("unknown-requirement", {"requirements.txt": "no-such-package-of-cortex==1\n"}),
    Mistake("conflicting-requirements", {"requirements.txt": "click==8.4.0\nclick==8.4.1\n"}),
    Mistake("failing-script", {"dependencies.sh": "echo begin\nfrobnicate --all\necho end\n"}),
    Mistake("unknown-python", {".python-version": "3.99\n"}),
    # The conda here is a stand-in: see micromamba.py.
    Mistake("unknown-conda-package", {"conda-packages.txt": "no-such-package\n"}),
]

FAILING = [
    Mistake("exception-at-start", init('raise FileNotFoundError("weights.bin")')),
    Mistake("module-not-found", predictor("class", "import pandass\n\n\nclass")),
    Mistake("exit-at-start", init("import os", "os._exit(7)")),
    Mistake("sys-exit-at-start", init("import sys", 'sys.exit("no licence")')),
    Mistake("segmentation-fault", init("import ctypes", "ctypes.string_at(0)")),
    Mistake("out-of-memory", init("self.weights = bytearray(2**30)")),
]


@pytest.fixture(scope="module")
def deployed(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Cortex:
    """A local cloud with two APIs and a splitter, and something that stands for conda."""
    programs = tmp_path_factory.mktemp("programs")
    micromamba.write(programs)
    cortex.environ["PATH"] = f"{programs}:{cortex.environ['PATH']}"
    project = tmp_path_factory.mktemp("good")
    write_files(project, {"cortex.yaml": GOOD, "predictor.py": ANSWERING})
    cortex.ok("deploy", cwd=project)
    environments = filled(WITHOUT_CLUSTER, {"control": cortex.control_url})
    write_files(cortex.home, {"environments.yaml": environments})
    return cortex


def stacks(cortex: Cortex) -> list[tuple[str, str]]:
    """What CloudFormation has, with the state of each."""
    found = cortex.aws("cloudformation").get_paginator("describe_stacks").paginate().search("Stacks[]")
    return sorted((stack["StackName"], stack["StackStatus"]) for stack in found)


@pytest.mark.parametrize("mistake", REFUSED + FAILING, ids=lambda mistake: mistake.name)
def test_one_line_says_what_is_wrong(mistake: Mistake, deployed: Cortex, tmp_path: Path) -> None:
    mistake.write(tmp_path)
    before = stacks(deployed)
    commit(deployed, mistake, tmp_path)
    assert stacks(deployed) == before


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
def test_a_gpu_that_this_machine_lacks(deployed: Cortex, tmp_path: Path) -> None:
    before = stacks(deployed)
    mistake = Mistake("no-gpu", config("{cpu: 50m, mem: 128Mi}", "{gpu: 1}"))
    mistake.write(tmp_path)
    commit(deployed, mistake, tmp_path)
    assert stacks(deployed) == before, "it is refused before anything is made"


def test_what_was_deployed_still_answers(deployed: Cortex) -> None:
    assert json.loads(deployed.ok("predict", "half", "-", stdin='{"status": 200}')) == {"status": 200}
