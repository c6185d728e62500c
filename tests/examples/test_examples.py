"""Every example is deployed with the real executable and predicts."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.config import Cluster, load_config
from cortex_cdk.synthesis.placeholders import placeholder_resources
from cortex_cdk.synthesis.specs import ApiStackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import synthesize
from tests.conftest import CORTEX, ROOT, Cortex
from tests.local.waiting import until

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.parent.name for path in EXAMPLES.glob("*/cortex.yaml"))


def post(endpoint: str, body: Any) -> Any:
    """What an API answers."""
    request = urllib.request.Request(endpoint, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def sample(example: str) -> Any:
    return json.loads((EXAMPLES / example / "sample.json").read_text())


@pytest.mark.parametrize("example", FOLDERS)
def test_has_what_every_example_has(example: str) -> None:
    config = load_config(EXAMPLES / example)
    assert not config.warnings
    assert isinstance(sample(example), dict)
    files = {path.name for path in (EXAMPLES / example).iterdir()}
    assert files >= {"README.md", ".cortexignore", "requirements.txt", "test_predictor.py"}
    readme = (EXAMPLES / example / "README.md").read_text()
    name = config.resources[-1].name
    assert re.search(rf"^    cortex deploy( --env prod)?( |$).*\n    cortex predict {name} sample.json", readme, re.M)


@pytest.fixture
def deployed(cortex: Cortex, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The endpoint of the last thing that an example deploys, in a project of a user's; all is deleted afterwards."""
    name = f"my-{request.param}"
    cortex.ok("init", request.param, name, cwd=tmp_path)
    done = json.loads(cortex.ok("deploy", name, "-o", "json", cwd=tmp_path))
    assert done[-1]["name"] == name
    assert cortex.ok("predict", name, f"{name}/sample.json", cwd=tmp_path)
    yield done[-1]["endpoint"]
    for deployment in reversed(done):
        cortex.ok("delete", deployment["name"], "--yes")


def example(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("deployed", [name], indirect=True)


@example("python")
def test_python(deployed: str) -> None:
    assert post(deployed, sample("python")) == {"spam": True, "probability": pytest.approx(1, abs=0.01)}
    assert not post(deployed, {"text": "see you at lunch"})["spam"]


@example("streaming")
def test_streaming(deployed: str, cortex: Cortex) -> None:
    request = urllib.request.Request(deployed, json.dumps(sample("streaming")).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = answer.read().decode().split("\n\n")
    assert [event.partition(": ")[0] for event in events] == ["data"] * 12 + [""]
    assert events[0] == "data: Alice"


@example("onnx")
def test_onnx(deployed: str) -> None:
    answer = post(deployed, sample("onnx"))
    assert answer["digit"] == 4
    assert 0.5 < answer["probability"] <= 1
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    some = range(0, len(digits), 50)
    right = [post(deployed, {"pixels": images[index].tolist()})["digit"] == digits[index] for index in some]
    assert sum(right) / len(right) > 0.9


@example("batching")
def test_batching(deployed: str) -> None:
    with ThreadPoolExecutor(12) as pool:
        texts = ["baking bread", "tomatoes on my balcony", "violin lessons"] * 8
        answers = list(pool.map(lambda text: post(deployed, {"text": text}), texts))
    titles = {answer["title"] for answer, text in zip(answers, texts, strict=True) if text == "baking bread"}
    assert titles == {"How to bake bread with wild yeast"}
    assert 1 < max(answer["batch"] for answer in answers) <= 16


@example("many-models")
def test_many_models(deployed: str) -> None:
    body = sample("many-models")
    assert post(f"{deployed}?model=english", body) == {"mood": "friendly", "score": 4}
    assert post(f"{deployed}?model=english&version=1", body) == {"mood": "friendly", "score": 2}
    assert post(f"{deployed}?model=german", {"text": "Das ist furchtbar"}) == {"mood": "unfriendly", "score": -2}
    with urllib.request.urlopen(deployed, timeout=30) as description:
        assert b'"german"' in description.read()
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{deployed}?model=french", body)
    assert refused.value.code == 404


@example("prediction-monitoring")
def test_prediction_monitoring(deployed: str, cortex: Cortex) -> None:
    for _ in range(3):
        assert post(deployed, sample("prediction-monitoring"))["species"] == "setosa"
    until(lambda: "setosa" in cortex.ok("get", "my-prediction-monitoring"), seconds=120)


@example("splitter")
def test_traffic_splitter(deployed: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(deployed, sample("splitter")), range(200)))
    counts = Counter(answer["neighbours"] for answer in answers)
    # 200 draws with 30 %: outside of this once in a million.
    assert counts.keys() == {3, 15}
    assert 28 < counts[15] < 96


def test_gpu_template_is_sound(tmp_path: Path) -> None:
    """What a deployment to AWS would send, synthesized and linted."""
    (api,) = load_config(EXAMPLES / "gpu").apis
    spec = ApiStackSpec(cluster=placeholder_resources(Cluster()), api=api, priority=100)
    (template,) = synthesize(SynthesisRequest(stacks=(spec,))).values()
    tasks = [r for r in template["Resources"].values() if r["Type"] == "AWS::ECS::TaskDefinition"]
    (container,) = tasks[0]["Properties"]["ContainerDefinitions"]
    assert container["ResourceRequirements"] == [{"Type": "GPU", "Value": "1"}]
    file = tmp_path / "template.json"
    file.write_text(json.dumps(template))
    lint = subprocess.run(
        [CORTEX.with_name("cfn-lint"), "--template", file], capture_output=True, text=True, check=False
    )
    assert (lint.returncode, lint.stdout) == (0, "")
