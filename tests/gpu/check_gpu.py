"""The GPU example in the local cloud, on a machine with an NVIDIA GPU, PyTorch and transformers (``make test-gpu``).

Nothing here runs in ``make test``: without a GPU it could only be skipped. The model has the size of the example's and
random weights, because a test machine need not reach the Hugging Face Hub.
"""

from __future__ import annotations

import json
import shutil
import string
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.conftest import CORTEX, ROOT, Cortex

TEXT = json.loads((ROOT / "examples" / "gpu" / "sample.json").read_text())
SECOND = """
import os
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        import torch
        return {"visible": os.environ["CUDA_VISIBLE_DEVICES"], "cuda": torch.cuda.is_available()}
"""


def memory_used() -> int:
    """MiB of the first GPU's memory that are in use."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)


def predicted(cortex: Cortex, name: str) -> Any:
    """What an API answers to the sample."""
    return json.loads(cortex.ok("predict", name, str(ROOT / "examples" / "gpu" / "sample.json")))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DistilBERT classifier of the usual size."""
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    labels = {0: "NEGATIVE", 1: "POSITIVE"}
    config = DistilBertConfig(id2label=labels, label2id={label: number for number, label in labels.items()})
    DistilBertForSequenceClassification(config).save_pretrained(folder)
    DistilBertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture
def example(model: Path, tmp_path: Path) -> Path:
    """The example, with that model."""
    folder = Path(shutil.copytree(ROOT / "examples" / "gpu", tmp_path / "gpu"))
    apis = yaml.safe_load((folder / "cortex.yaml").read_text())
    apis[0]["predictor"]["config"]["model"] = str(model)
    (folder / "cortex.yaml").write_text(yaml.safe_dump(apis))
    return folder


def test_the_example_runs_on_the_gpu(cortex: Cortex, example: Path, tmp_path: Path) -> None:
    before = memory_used()
    print(cortex.ok("deploy", str(example)))
    print(cortex.ok("get", "text-sentiment"))
    used = memory_used() - before
    print(f"the replica uses {used} MiB of the GPU's memory")
    assert used > 300  # the weights alone have 255
    first = predicted(cortex, "text-sentiment")
    assert first["label"] in ("POSITIVE", "NEGATIVE")
    assert 0.5 <= first["score"] <= 1

    endpoint = cortex.json("get", "text-sentiment")["endpoint"]
    started = time.perf_counter()
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: requests.post(endpoint, json=TEXT, timeout=60).json(), range(2000)))
    print(f"{2000 / (time.perf_counter() - started):.0f} predictions/s from 32 clients (the clients' process included)")
    assert {answer["label"] for answer in answers} == {first["label"]}

    # An update in place: the only GPU is given from the old replica to the new one.
    (example / "predictor.py").write_text((example / "predictor.py").read_text() + "\n# changed\n")
    print(cortex.ok("deploy", str(example)))
    assert predicted(cortex, "text-sentiment") == first

    # Beside it: a replica that asks for no GPU sees none; one that asks for another waits for it.
    without, second = (_project(tmp_path / name, name, gpu) for name, gpu in (("without", 0), ("second", 1)))
    cortex.ok("deploy", str(without))
    assert predicted(cortex, "without") == {"visible": "", "cuda": False}
    waiting = _deploy(cortex, second)
    try:
        until(
            lambda: "capacity" in cortex.run("get", "second").stdout,
            "cortex get does not say that the second one waits",
        )
        print(cortex.ok("get", "second"))
        cortex.ok("delete", "text-sentiment", "--yes")
        print(waiting.communicate(timeout=240)[0])
    finally:
        waiting.kill()
    assert waiting.returncode == 0
    assert predicted(cortex, "second") == {"visible": "0", "cuda": True}
    cortex.ok("delete", "second", "--yes")
    until(lambda: memory_used() - before < 100, "the memory of the GPU was not given back")


def until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(1)


def _deploy(cortex: Cortex, project: Path) -> subprocess.Popen[str]:
    command = [str(CORTEX), "deploy", str(project)]
    return subprocess.Popen(
        command, cwd=ROOT, env=cortex.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _project(folder: Path, name: str, gpu: int) -> Path:
    folder.mkdir()
    (folder / "predictor.py").write_text(SECOND)
    compute = {"cpu": 1, "mem": "4Gi", **({"gpu": gpu} if gpu else {})}
    api = {"name": name, "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    update = {"max_surge": 0, "max_unavailable": 1}
    (folder / "cortex.yaml").write_text(yaml.safe_dump([{**api, "compute": compute, "update_strategy": update}]))
    return folder
