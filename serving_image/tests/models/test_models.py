"""Many models: versions, caches, reloads, S3, ONNX."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.catalog import ModelFiles
from cortex_serving.models.library import Library
from cortex_serving.models.requested_model import UnknownModel
from cortex_serving.spec import ModelEntry, Models
from tests.conftest import Serve, eventually
from tests.model_files import save_onnx_model

MANY = """
import pathlib
class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client
    def load_model(self, model_path):
        return pathlib.Path(model_path, "weights").read_text()
    def predict(self, payload, query_params):
        return self.client.get_model(payload, query_params["version"] if "version" in query_params else "latest")
"""


NULL: dict[str, Any] = {"data": "null", "headers": {"Content-Type": "application/json"}}


def _write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text(text)


def test_models_of_a_folder_with_versions(serve: Serve, tmp_path: Path) -> None:
    _write(tmp_path / "project" / "models" / "a" / "2", "a2")
    _write(tmp_path / "project" / "models" / "a" / "10", "a10")
    _write(tmp_path / "project" / "models" / "b", "b")
    for hidden in (".DS_Store", "a/.DS_Store", ".checkpoints/x"):  # what editors and computers leave
        (tmp_path / "project" / "models" / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / "project" / "models" / hidden).touch()
    replica = serve(MANY, models={"dir": "models"})
    assert replica.post("a").text == "a10"
    assert replica.post("a", path="/?version=2").text == "a2"
    assert replica.post("b").text == "b"
    unknown = replica.post("c")
    assert (unknown.status_code, unknown.json()) == (404, {"error": "there is no model named 'c'"})
    assert replica.post("a", path="/?version=002").text == "a2"
    missing = replica.post("a", path="/?version=3")
    assert (missing.status_code, missing.json()) == (404, {"error": "model 'a' has no version '3'; there are 2, 10"})
    assert replica.post(**NULL).status_code == 400
    assert replica.get("/api").json()["model_metadata"] == {"a": ["2", "10"], "b": ["1"]}


def test_both_generations_of_configuration(serve: Serve, tmp_path: Path) -> None:
    _write(tmp_path / "project" / "one", "only")
    replica = serve(MANY, model_path="one")
    assert replica.post(**NULL).text == "only"
    assert replica.post("iris").text == "only"  # an only model has no name: as in Cortex, any name means it
    replica.stop()
    replica = serve(MANY, models=[{"name": "x", "model_path": "one"}])
    assert replica.post("x").text == "only"


def test_load_model_is_mandatory_with_models(serve: Serve, tmp_path: Path) -> None:
    _write(tmp_path / "project" / "one", "only")
    replica = serve(
        """
        class PythonPredictor:
            def __init__(self, config, python_client): pass
            def predict(self): pass
        """,
        model_path="one",
        ready=False,
    )
    assert replica.process.wait(20) == 1
    replica.stop()
    assert "load_model" in replica.lines[-1]["message"]


def _library(tmp_path: Path, load: Any = None, counters: Counters | None = None, **options: Any) -> Library:
    def read(path: Path, files: ModelFiles) -> str:
        return (path / "weights").read_text()

    models = Models(dir="models", **options)
    return Library(models, tmp_path, tmp_path / "fetched", load or read, counters or Counters())


def test_three_hundred_models_with_a_cache_of_ten_from_sixteen_threads(tmp_path: Path) -> None:
    for n in range(300):
        _write(tmp_path / "models" / f"m{n}", f"weights of {n}")
    loading: set[str] = set()
    lock = threading.Lock()

    def load(path: Path, files: ModelFiles) -> str:
        with lock:
            assert files.name not in loading, "one load at a time per model"
            loading.add(files.name)
        text = (path / "weights").read_text()
        time.sleep(0.0005)
        with lock:
            loading.remove(files.name)
        return text

    counters = Counters()
    library = _library(tmp_path, load, counters, cache_size=10, disk_cache_size=20)
    library.find()
    library.start(3600)

    def ask(seed: int) -> None:
        chooser = random.Random(seed)
        for _ in range(300):
            n = int(chooser.paretovariate(0.5)) % 300
            assert library.get(f"m{n}") == f"weights of {n}"

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))
    counts: dict[str, Any] = {metric.name: metric.value for metric in counters.take()}
    assert counts["ModelLoads"] - counts["ModelEvictions"] == 10
    assert counts["ModelLoads"] < 16 * 300, "popular models must stay in memory"


def test_changes_are_followed_and_a_broken_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = tmp_path / "models"
    _write(models / "a" / "1", "one")
    _write(models / "gone", "x")

    def load(path: Path, files: ModelFiles) -> str:
        text = (path / "weights").read_text()
        if text == "broken":
            raise ValueError("cannot be loaded")
        return text

    library = _library(tmp_path, load)
    library.find()
    library.start(3600)
    assert library.get("a") == "one"
    _write(models / "a" / "2", "two")
    library.refresh()
    assert library.get("a") == "two"
    _write(models / "a" / "2", "broken")
    _write(models / "a" / "3", "broken")
    for _ in range(3):
        library.refresh()
    assert library.get("a") == "two", "a failing load must not take a good model away"
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [f"model a version {version} cannot be loaded: ValueError: cannot be loaded" for version in "23"], (
        "once each"
    )
    _write(models / "a" / "2", "two, repaired")
    (models / "gone" / "weights").unlink()
    (models / "gone").rmdir()
    library.refresh()
    assert library.get("a") == "two, repaired"
    with pytest.raises(UnknownModel):
        library.get("gone")


def test_reloading_does_not_disturb_readers(tmp_path: Path) -> None:
    _write(tmp_path / "models" / "a", "0")
    library = _library(tmp_path)
    library.find()
    library.start(3600)
    stop = threading.Event()

    def read() -> int:
        seen = 0
        while not stop.is_set():
            value = int(library.get("a"))
            assert value >= seen
            seen = value
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for n in range(1, 30):
            partial = tmp_path / "next"
            partial.write_text(str(n))
            partial.rename(tmp_path / "models" / "a" / "weights")
            library.refresh()
        stop.set()
    assert library.get("a") == "29"
    assert all(reader.result() <= 29 for reader in readers)


def test_models_in_s3_are_fetched_followed_and_evicted_from_disk(s3: Any, tmp_path: Path) -> None:
    def put(key: str, text: str) -> None:
        s3.put_object(Bucket="bucket", Key=key, Body=text.encode())

    for name in "abc":
        put(f"zoo/{name}/1/weights", f"{name}1")
    put("zoo-other/z/weights", "not ours")

    def read(path: Path, files: ModelFiles) -> str:
        return (path / "weights").read_text()

    models = Models(dir="s3://bucket/zoo", cache_size=1, disk_cache_size=2)
    library = Library(models, tmp_path, tmp_path / "fetched", read, Counters())
    library.find()
    library.start(3600)
    assert set(library.names()) == {"a", "b", "c"}
    assert [library.get(name) for name in "abcab"] == ["a1", "b1", "c1", "a1", "b1"]
    assert len(list((tmp_path / "fetched").glob("*/1-*"))) == 2
    put("zoo/b/1/weights", "b1 changed")
    put("zoo/a/2/weights", "a2")
    library.refresh()
    assert library.get("b") == "b1 changed"
    assert library.get("a") == "a1", "it may still be on its way"
    library.refresh()
    assert library.get("a") == "a2"
    assert library.get("a", "1") == "a1"


def test_a_single_object_in_s3(s3: Any, tmp_path: Path) -> None:
    for name in ("model.txt", "model.txt.bak", "model.txt-old/weights"):
        s3.put_object(Bucket="bucket", Key=f"one/{name}", Body=b"hello" if name == "model.txt" else b"other")
    models = Models(paths=(ModelEntry("m", "s3://bucket/one/model.txt"),))
    library = Library(models, tmp_path, tmp_path / "fetched", lambda path, files: path.read_text(), Counters())
    library.find()
    library.start(3600)
    assert library.get(None) == "hello"


ONNX = """
class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client
    def predict(self, payload):
        return self.client.predict(payload["x"], payload.get("model"))[0].tolist()
"""


def test_onnx_models(serve: Serve, tmp_path: Path) -> None:
    save_onnx_model(tmp_path / "project" / "twice.onnx", 2.0)
    save_onnx_model(tmp_path / "project" / "models" / "1" / "thrice.onnx", 3.0)
    paths = [{"name": "twice", "model_path": "twice.onnx"}, {"name": "thrice", "model_path": "models"}]
    replica = serve(ONNX, type="onnx", models={"paths": paths})
    assert replica.post({"x": [[1, 2]], "model": "twice"}).json() == [[2.0, 4.0]]
    assert replica.post({"x": [1, 2, 3, 4], "model": "thrice"}).json() == [[3.0, 6.0], [9.0, 12.0]]
    assert replica.post({"x": [1], "model": "other"}).status_code == 404
    assert replica.post({"x": [1, 2]}).status_code == 400


DESCRIBED = """
class ONNXPredictor:
    def __init__(self, onnx_client, config):
        (self.inputs,) = onnx_client.input_signatures.values()
        (session,) = onnx_client.sessions.values()
        self.client, self.outputs = onnx_client, [node.name for node in session.get_outputs()]
    def predict(self, payload):
        return [self.inputs, self.outputs, self.client.predict(payload, "any")[0].tolist()]
"""


def test_an_onnx_model_describes_itself_as_in_cortex(serve: Serve, tmp_path: Path) -> None:
    save_onnx_model(tmp_path / "project" / "twice.onnx", 2.0)
    described = {"x": {"shape": ["batch", 2], "type": "float32"}}
    assert serve(DESCRIBED, type="onnx", model_path="twice.onnx").post([1, 2]).json() == [
        described,
        ["y"],
        [[2.0, 4.0]],
    ]


@pytest.mark.parametrize("kind", ["onnx", "tensorflow"])
def test_a_missing_runtime_is_said_clearly(serve: Serve, tmp_path: Path, kind: str) -> None:
    class_name, client = {
        "onnx": ("ONNXPredictor", "onnx_client"),
        "tensorflow": ("TensorFlowPredictor", "tensorflow_client"),
    }[kind]
    module = {"onnx": "onnxruntime", "tensorflow": "tensorflow"}[kind]
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / f"{module}.py").write_text("raise ImportError('not here')")
    _write(tmp_path / "project" / "model", "x")
    replica = serve(
        f"class {class_name}:\n    def __init__(self, {client}, config): pass\n    def predict(self): pass\n",
        type=kind,
        model_path="model",
        ready=False,
    )
    assert replica.process.wait(30) == 1
    replica.stop()
    assert "requirements.txt" in replica.lines[-1]["message"]


EXCLUSIVE = """
import os, pathlib, threading, time
class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client
        self.loading = pathlib.Path(config["loading"], str(os.getpid()))
        self.loading.mkdir()
    def load_model(self, model_path):
        mark = self.loading / pathlib.Path(model_path).name
        mark.touch(exist_ok=False)  # one load at a time per model
        text = pathlib.Path(model_path, "weights").read_text()
        time.sleep(0.002)
        mark.unlink()
        return text
    def predict(self, payload):
        return self.client.get_model(payload) + f" {os.getpid()}"
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_three_hundred_models_over_http(serve: Serve, tmp_path: Path, processes: int) -> None:
    """Sixteen clients, sixteen threads, a cache of ten: each answer is of the model that was asked for."""
    for n in range(300):
        _write(tmp_path / "project" / "models" / f"m{n}", f"model {n}")
    (tmp_path / "loading").mkdir()
    replica = serve(
        EXCLUSIVE,
        config={"loading": str(tmp_path / "loading")},
        models={"dir": "models", "cache_size": 10, "disk_cache_size": 20},
        processes_per_replica=processes,
        threads_per_process=16,
        access_log=0,
    )

    def ask(seed: int) -> set[str]:
        chooser, pids = random.Random(seed), set()
        with requests.Session() as session:
            for _ in range(150):
                n = int(chooser.paretovariate(0.5)) % 300  # some are asked for often, most now and then
                answer = session.post(replica.address, json=f"m{n}", timeout=30)
                text, _, pid = answer.text.rpartition(" ")
                assert (answer.status_code, text) == (200, f"model {n}")
                pids.add(pid)
        return pids

    with ThreadPoolExecutor(16) as pool:
        pids = set().union(*pool.map(ask, range(16)))
    assert len(pids) == processes
    eventually(lambda: replica.get().json()["in_flight"] == 0)
    assert replica.stop() == 0
    assert not replica.messages(level="ERROR")
    counts = {name: sum(record.get(name, 0) for record in replica.lines) for name in ("ModelLoads", "ModelEvictions")}
    assert counts["ModelLoads"] - counts["ModelEvictions"] == 10 * processes
    assert counts["ModelLoads"] < 16 * 150, "popular models must stay in memory"
