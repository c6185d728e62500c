"""Models that come, change and go while they are served; places that cannot be read; models wanted early."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.catalog import ModelFiles
from cortex_serving.models.library import Library
from cortex_serving.models.requested_model import UnknownModel
from cortex_serving.spec import ModelEntry, Models
from tests.conftest import Serve, eventually
from tests.model_files import save_onnx_model


def _write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text(text)


def _read(path: Path, files: ModelFiles) -> str:
    return (path / "weights").read_text()


def _library(models: Models, tmp_path: Path, load: Callable[[Path, ModelFiles], Any] = _read) -> Library:
    library = Library(models, tmp_path, tmp_path / "fetched", load, Counters())
    library.find()
    library.start(3600)
    return library


def _paths(**locations: str) -> Models:
    return Models(paths=tuple(ModelEntry(name, location) for name, location in locations.items()))


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_place_that_cannot_be_read_does_not_hold_up_the_others(
    s3: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for bucket in ("bucket", "other"):
        s3.put_object(Bucket=bucket, Key="m/weights", Body=b"one")
    library = _library(_paths(lost="s3://bucket/m", kept="s3://other/m"), tmp_path)
    s3.delete_object(Bucket="bucket", Key="m/weights")
    s3.delete_bucket(Bucket="bucket")
    for text in ("two", "three"):
        s3.put_object(Bucket="other", Key="m/weights", Body=text.encode())
        library.refresh()
        assert (library.get("lost"), library.get("kept")) == ("one", text)
    [told] = _warnings(caplog)
    assert told.startswith("cannot look for changed models: cannot list s3://bucket/m: ")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="m/weights", Body=b"back")
    library.refresh()
    assert library.get("lost") == "back"


@pytest.mark.parametrize("where", ["s3", "project"])
def test_a_model_that_is_gone_is_dropped_and_may_come_back(
    s3: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    def put(name: str, text: str) -> None:
        s3.put_object(Bucket="bucket", Key=f"{name}/weights", Body=text.encode())
        _write(tmp_path / name, text)

    root = "s3://bucket/" if where == "s3" else ""
    put("gone", "one")
    put("kept", "one")
    library = _library(_paths(gone=f"{root}gone", kept=f"{root}kept"), tmp_path)
    s3.delete_object(Bucket="bucket", Key="gone/weights")
    (tmp_path / "gone" / "weights").unlink()
    (tmp_path / "gone").rmdir()
    for text in ("two", "three"):
        put("kept", text)
        library.refresh()
        assert library.get("kept") == text
        with pytest.raises(UnknownModel):
            library.get("gone")
    assert _warnings(caplog) == [f"model gone is gone from {root}gone, and is not served any more"]
    put("gone", "again")
    library.refresh()
    assert library.get("gone") == "again"


def test_one_client_of_s3_is_made(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        s3.put_object(Bucket="bucket", Key=f"{name}/weights", Body=name.encode())
    made: list[tuple[Any, ...]] = []
    make: Any = boto3.client

    def counted(*args: Any, **options: Any) -> Any:
        made.append(args)
        return make(*args, **options)

    monkeypatch.setattr(boto3, "client", counted)
    library = _library(_paths(a="s3://bucket/a", b="s3://bucket/b", c="s3://bucket/c"), tmp_path)
    for _ in range(5):
        library.refresh()
    assert [library.get(name) for name in "abc"] == ["a", "b", "c"]
    assert made == [("s3",)]


def test_states_of_a_changing_model_do_not_fill_the_disk(s3: Any, tmp_path: Path) -> None:
    library: Library | None = None
    for n in range(6):
        s3.put_object(Bucket="bucket", Key="m/1/weights", Body=str(n).encode())
        if library is None:
            library = _library(Models(dir="s3://bucket"), tmp_path)
        library.refresh()
        assert library.get("m") == str(n)
    assert len(list((tmp_path / "fetched" / "m").iterdir())) == 2
    for version in range(2, 6):  # old versions are deleted as new ones come
        s3.delete_object(Bucket="bucket", Key=f"m/{version - 1}/weights")
        s3.put_object(Bucket="bucket", Key=f"m/{version}/weights", Body=str(version).encode())
        assert library is not None
        library.refresh()
        library.refresh()
    assert library is not None
    assert library.names() == {"m": ["5"]}
    assert len(list((tmp_path / "fetched" / "m").iterdir())) <= 2


def test_the_least_recently_used_model_leaves_the_disk_first(s3: Any, tmp_path: Path) -> None:
    for name in "abcd":
        s3.put_object(Bucket="bucket", Key=f"{name}/weights", Body=name.encode())
    library = _library(Models(dir="s3://bucket", cache_size=2, disk_cache_size=3), tmp_path)
    for name in "abacd":  # b is asked for before a was asked for again
        assert library.get(name) == name
    assert sorted(path.parent.name for path in (tmp_path / "fetched").glob("*/1-*")) == ["a", "c", "d"]


def test_evicted_files_are_never_found_half_deleted(s3: Any, tmp_path: Path) -> None:
    """A cache of one, two models on disk, eight threads: a load always finds all of its files."""
    for model in "abcd":
        for file in range(20):
            s3.put_object(Bucket="bucket", Key=f"{model}/{file}", Body=model.encode())

    def load(path: Path, files: ModelFiles) -> str:
        return "".join((path / str(file)).read_text() for file in range(20))

    library = _library(Models(dir="s3://bucket", cache_size=1, disk_cache_size=2), tmp_path, load)

    def ask(seed: int) -> None:
        for n in range(25):
            name = "abcd"[(seed * n + n) % 4]
            assert library.get(name) == name * 20

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


@pytest.mark.parametrize("cache", [None, 1])
def test_a_version_that_comes_file_by_file_is_not_the_latest_until_it_is_whole(
    s3: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, cache: int | None
) -> None:
    def put(version: int, name: str) -> None:
        s3.put_object(Bucket="bucket", Key=f"m/{version}/{name}", Body=str(version).encode())

    def load(path: Path, files: ModelFiles) -> str:
        return "".join((path / name).read_text() for name in "abc")

    for name in "abc":
        put(1, name)
    library = _library(Models(dir="s3://bucket", cache_size=cache, disk_cache_size=cache), tmp_path, load)
    assert library.get("m") == "111"
    for name in "abc":
        put(2, name)
        library.refresh()
        assert library.get("m") == ("222" if name == "c" and not cache else "111")
    library.refresh()
    assert library.get("m") == "222"


def test_a_new_version_that_cannot_be_loaded_gives_way_to_the_one_before(
    s3: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def load(path: Path, files: ModelFiles) -> str:
        if (text := _read(path, files)) == "bad":
            raise ValueError("bad weights")
        return text

    def put(version: int, text: str) -> None:
        s3.put_object(Bucket="bucket", Key=f"m/{version}/weights", Body=text.encode())

    def look() -> None:  # a new version counts when two looks have found it the same
        library.refresh()
        library.refresh()

    put(1, "one")
    library = _library(Models(dir="s3://bucket/", cache_size=1, disk_cache_size=1), tmp_path, load)
    put(2, "bad")
    look()
    with pytest.raises(ValueError, match="bad weights"):
        library.get("m", 2)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(library.get, ["m"] * 4)) == ["one"] * 4
    look()
    assert library.get("m") == "one"
    assert _warnings(caplog) == ["model m version 2 cannot be loaded: ValueError: bad weights"], "once"
    put(2, "two")
    look()
    assert library.get("m") == "two"
    library.get("m", 1)  # out of the cache of one
    s3.delete_object(Bucket="bucket", Key="m/2/weights")
    shutil.rmtree(tmp_path / "fetched")
    assert library.get("m") == "one"
    put(2, "bad")
    look()
    assert library.get("m") == "one"


def test_a_look_at_thousands_of_models_costs_little_more_than_to_list_them(tmp_path: Path) -> None:
    for number in range(3000):
        _write(tmp_path / "models" / str(number), "x")
    library = _library(Models(dir="models", cache_size=1, disk_cache_size=1), tmp_path)
    assert _calls_of(library.refresh) < 2 * _calls_of(library.find)
    assert library.get("2999") == "x"


def _calls_of(work: Callable[[], None]) -> int:
    """How many functions are called by this thread: a measure of work that no other process disturbs."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_those_who_wait_for_a_load_share_its_failure(tmp_path: Path) -> None:
    loads, waiting = [], threading.Event()

    def load(path: Path, files: ModelFiles) -> str:
        loads.append(files.name)
        waiting.wait(1)  # the others come meanwhile
        raise ValueError("cannot be loaded")

    _write(tmp_path / "models" / "m", "x")
    library = _library(Models(dir="models", cache_size=1, disk_cache_size=1), tmp_path, load)
    with ThreadPoolExecutor(8) as pool:
        errors = [future.exception() for future in [pool.submit(library.get, "m") for _ in range(8)]]
    assert [str(error) for error in errors] == ["cannot be loaded"] * 8
    assert len(loads) < 4
    with pytest.raises(ValueError, match="cannot be loaded"):
        library.get("m")
    assert loads.pop() == "m", "who comes later tries again"


def test_a_slow_model_holds_up_no_other_one(tmp_path: Path) -> None:
    go = threading.Event()

    def load(path: Path, files: ModelFiles) -> str:
        if files.name == "slow":
            assert go.wait(30)
        return files.name

    for name in ("slow", "quick"):
        _write(tmp_path / "models" / name, "x")
    library = _library(Models(dir="models", cache_size=1, disk_cache_size=1), tmp_path, load)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(library.get, "slow") for _ in range(2)]
        assert library.get("quick") == "quick"
        go.set()
        assert [future.result() for future in waiting] == ["slow", "slow"]


EARLY = """
class PythonPredictor:
    def __init__(self, config, python_client):
        self.prefix = "loaded "
        self.client = python_client
        self.first = python_client.get_model("a")
        self.old = python_client.get_model("a", "1")
    def load_model(self, model_path):
        print("loading", model_path[-1])
        return self.prefix + open(model_path + "/weights").read()
    def predict(self, payload):
        return [self.first, self.old, self.client.get_model("a")]
"""


@pytest.mark.parametrize("options", [{}, {"cache_size": 2, "disk_cache_size": 2}])
def test_a_model_may_be_asked_for_in_init(serve: Serve, tmp_path: Path, options: dict[str, int]) -> None:
    for version in (1, 2):
        _write(tmp_path / "project" / "models" / "a" / str(version), f"a{version}")
    replica = serve(EARLY, models={"dir": "models", **options})
    assert replica.post(1).json() == ["loaded a2", "loaded a1", "loaded a2"]
    said = eventually(lambda: [text for text in replica.messages() if text.startswith("loading")])
    assert said == ["loading 2", "loading 1"], "each once"


ONNX = """
class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.first = onnx_client.predict([1, 2], "twice")[0].tolist()
        self.session = onnx_client.get_model("twice")["session"]
    def predict(self, payload):
        return [self.first, self.session.run(None, {"x": payload})[0].tolist()]
"""


def test_an_onnx_model_may_be_run_in_init(serve: Serve, tmp_path: Path) -> None:
    save_onnx_model(tmp_path / "project" / "twice.onnx", 2.0)
    replica = serve(ONNX, type="onnx", models={"paths": [{"name": "twice", "model_path": "twice.onnx"}]})
    assert replica.post([[1.5, 1.0]]).json() == [[[2.0, 4.0]], [[3.0, 2.0]]]


WRONG = {
    'get_model("c")': "there is no model named 'c'",
    'get_model("a", "7")': "model 'a' has no version '7'; there are 1",
    "get_model()": "there are several models: say which one by its name: a, b",
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_name_in_init_ends_the_replica_and_says_why(serve: Serve, tmp_path: Path, call: str) -> None:
    for name in "ab":
        _write(tmp_path / "project" / "models" / name, name)
    code = f"""
    class PythonPredictor:
        def __init__(self, config, python_client):
            python_client.{call}
        def load_model(self, model_path): pass
        def predict(self): pass
    """
    replica = serve(code, models={"dir": "models"}, ready=False)
    assert replica.process.wait(30) == 1
    replica.stop()
    assert WRONG[call] in replica.lines[-1]["message"]


UNREADABLE = {
    "s3://nowhere/models": "cannot list s3://nowhere/models: An error occurred (NoSuchBucket) when calling",
    "s3://Not a bucket/models": "cannot list s3://Not a bucket/models: Parameter validation failed: Invalid bucket",
    "s3://bucket/empty": "there is no model at s3://bucket/empty",
}


@pytest.mark.parametrize("place", UNREADABLE)
def test_a_place_that_cannot_be_read_at_the_start_is_said_on_one_line(s3: Any, serve: Serve, place: str) -> None:
    replica = serve(EARLY, model_path=place, ready=False)
    assert replica.process.wait(30) == 1
    replica.stop()
    [said] = [text for text in replica.messages(level="ERROR") if "StoreError" in text and "s3://" in text][:1]
    assert UNREADABLE[place] in said
    assert "\n" not in said
