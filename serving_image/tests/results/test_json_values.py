"""The JSON form of a value does not depend on the container around it, nor on batching."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Replica, eventually, running, write_project

VALUES = """
import collections, dataclasses, datetime, decimal, enum, uuid
from typing import Any
from zoneinfo import ZoneInfo
import numpy as np, pandas as pd, polars as pl, pydantic

def times(n, tz=None):
    found = pd.to_datetime(pd.Series([None if i % 3 == 2 else f"2024-0{1 + i % 9}-01T00:00:00.25" for i in n]))
    return found.dt.tz_localize(tz) if tz else found

KINDS = {
    "float32": lambda n: np.array([i / 10 for i in n], "f4"),
    "float64": lambda n: np.array([i / 10 for i in n], "f8"),
    "float16": lambda n: np.array([i / 10 for i in n], "f2"),
    "big-endian": lambda n: np.array([i / 10 for i in n], ">f4"),
    "not finite": lambda n: np.array([[np.nan, np.inf, -np.inf][i % 3] for i in n], "f4"),
    "long": lambda n: np.array(n, "i8"),
    "unsigned": lambda n: np.array([2**64 - 1 - i for i in n], "u8"),
    "bool": lambda n: np.array([i % 2 == 0 for i in n]),
    "text": lambda n: np.array([f"t{i}" for i in n]),
    "bytes": lambda n: np.array([f"t{i}" for i in n], "S"),
    "object": lambda n: np.array([np.float32(i / 10) if i % 2 else None for i in n] + [0], object)[:-1],
    "time": lambda n: times(n).to_numpy(),
    "old time": lambda n: times(n).to_numpy().astype("M8[s]"),
    "time in ns": lambda n: times(n).astype("M8[ns]").to_numpy(),
    "zoned": lambda n: times(n, "Europe/Berlin"),
    "utc": lambda n: times(n, "UTC"),
    "duration": lambda n: pd.Series(pd.to_timedelta([None if i % 3 == 2 else i / 4 for i in n], unit="s")).to_numpy(),
    "nullable float": lambda n: pd.Series([None if i % 3 == 2 else i / 10 for i in n], dtype="Float32"),
    "nullable long": lambda n: pd.Series([None if i % 3 == 2 else i for i in n], dtype="Int64"),
    "nullable bool": lambda n: pd.Series([None if i % 3 == 2 else True for i in n], dtype="boolean"),
    "category": lambda n: pd.Series([f"c{i}" for i in n], dtype="category"),
    "string": lambda n: pd.Series([None if i % 3 == 2 else f"s{i}" for i in n]),
}

class Model(pydantic.BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    x: Any

@dataclasses.dataclass
class Data:
    x: Any

def strided(values):
    pair = np.empty((len(values), 2), dtype=values.dtype)
    pair[:, 0] = values
    return pair[:, 0]

native = lambda values: values.astype(values.dtype.newbyteorder("=")) if isinstance(values, np.ndarray) else values
only_numpy = lambda make: lambda values: make(values) if isinstance(values, np.ndarray) else list(values)
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "as it is": lambda values: values,
    "strided": only_numpy(strided),
    "reversed twice": lambda values: values[::-1][::-1],
    "deque": collections.deque,
    "column": lambda values: pd.Series(native(values)),
    "models": lambda values: [Model(x=value).x for value in values],
    "scalars": only_numpy(lambda values: [values[i : i + 1].reshape(()) for i in range(len(values))]),
    "masked": only_numpy(np.ma.array),
}
TABLES = {
    "dicts": lambda values: [{"x": value} for value in values],
    "frame": lambda values: pd.DataFrame({"x": CONTAINERS["column"](values)}),
    "dataclasses": lambda values: [Data(value) for value in values],
}

class Aliased(pydantic.BaseModel):
    inner: float = pydantic.Field(serialization_alias="Inner")

@pydantic.dataclasses.dataclass
class AliasedData:
    inner: float = pydantic.Field(serialization_alias="Inner")

class PythonPredictor:
    def __init__(self, config):
        self.batched = config["batched"]

    def predict(self, payload):
        first = payload[0] if self.batched else payload
        if "source" in first:
            return eval(first["source"])
        values = KINDS[first["kind"]](first["numbers"] * (len(payload) if self.batched else 1))
        return {**CONTAINERS, **TABLES}[first["container"]](values)
"""
KINDS = [line.split('"')[1] for line in VALUES.splitlines() if line.startswith('    "') and "lambda n:" in line]
CONTAINERS = ["as it is", "tuple", "strided", "reversed twice", "deque", "column", "models", "scalars", "masked"]
TABLES = ["frame", "dataclasses"]


def start(folder: Path, batched: bool) -> Any:
    batching = {"server_side_batching": {"max_batch_size": 4, "batch_interval": "200ms"}} if batched else {}
    return running(
        [str(write_project(folder, VALUES, config={"batched": batched}, **batching)), "--listen=127.0.0.1:0"]
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with start(tmp_path_factory.mktemp("plain"), batched=False) as replica:
        yield replica


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with start(tmp_path_factory.mktemp("batched"), batched=True) as replica:
        yield replica


def answer(replica: Replica, kind: str, container: str, numbers: list[int]) -> Any:
    found = replica.post({"kind": kind, "container": container, "numbers": numbers})
    assert found.status_code == 200, (kind, container, numbers, replica.messages(level="ERROR")[-1:])
    return found.json()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS), numbers=st.lists(st.integers(0, 30), max_size=5))
def test_the_container_does_not_matter(plain: Replica, kind: str, numbers: list[int]) -> None:
    expected = answer(plain, kind, "list", numbers)
    assert len(expected) == len(numbers)
    for container in CONTAINERS:
        assert answer(plain, kind, container, numbers) == expected, container
    expected_rows = answer(plain, kind, "dicts", numbers)
    assert expected_rows == [{"x": value} for value in expected]
    for table in TABLES:
        assert answer(plain, kind, table, numbers) == expected_rows, table


@pytest.mark.parametrize("kind", KINDS)
def test_batching_does_not_matter(plain: Replica, batched: Replica, kind: str) -> None:
    (expected,) = answer(plain, kind, "list", [4])
    for container in [*CONTAINERS, *TABLES]:
        if container == "deque":
            continue  # refused: see below
        request = {"kind": kind, "container": container, "numbers": [4]}
        found = batched.post(request)
        assert found.status_code == 200, (container, batched.messages(level="ERROR")[-1:])
        text = found.headers["Content-Type"].startswith(("text/plain", "application/octet-stream"))
        value = found.text if text else found.json()
        assert value == ({"x": expected} if container in TABLES else expected), container


def refused(replica: Replica, source: str) -> str:
    """Send a request that must fail; return the message of its error in the log."""
    before = len(replica.messages(level="ERROR"))
    assert replica.post({"source": source}).status_code == 500
    messages: list[str] = eventually(lambda: replica.messages(level="ERROR")[before:])
    return messages[0]


UNITS = ("D", "h", "m", "s", "ms", "us", "ns")  # of numpy's dates
EPOCH = {"a": None, "b": ["1970-01-01T00:00:00"]}
FORMS = {
    "np.array([0.9], 'f4')": [0.9],
    "np.array([[0.1, 0.9], [0.2, 0.8]], 'f4')[:, 1]": [0.9, 0.8],
    "pd.Series([0.9], dtype='f4')": [0.9],
    "pd.DataFrame({'p': np.array([0.9], 'f4')})": [{"p": 0.9}],
    "pl.DataFrame({'p': [0.9, None]}, schema={'p': pl.Float32})": [{"p": 0.9}, {"p": None}],
    "[np.datetime64('NaT'), np.timedelta64('NaT'), pd.NaT, pd.NA, np.float32('nan'), np.ma.masked]": [None] * 6,
    "np.array(['2020-01-01', 'NaT'], 'M8[ns]')": ["2020-01-01T00:00:00", None],
    "np.array(['20200-01-01', 'NaT'], 'M8[D]')": ["20200-01-01", None],
    **{f"np.array(['2020-01-01', 'NaT'], 'M8[{u}]')": ["2020-01-01T00:00:00", None] for u in UNITS},
    **{f"{{'a': np.datetime64('NaT', '{u}'), 'b': [np.datetime64('1970-01-01', '{u}')]}}": EPOCH for u in UNITS},
    "pd.DataFrame({'a': pd.to_datetime(['2020-01-01', None]), 'b': [datetime.date(2020, 1, 1), None]})": [
        {"a": "2020-01-01T00:00:00", "b": "2020-01-01"},
        {"a": None, "b": None},
    ],
    "(pd.NaT, {'a': pd.Series([pd.NaT, None], dtype=object), 'b': np.array([pd.NaT, None])})": [
        None,
        {"a": [None, None], "b": [None, None]},
    ],
    "pd.Series(pd.to_datetime(['2020-01-01', None])).dt.tz_localize('UTC')": ["2020-01-01T00:00:00+00:00", None],
    "times([1], 'Europe/Berlin')": ["2024-02-01T00:00:00.250000+01:00"],
    "pd.DatetimeIndex(['2020-01-01'], tz='UTC')": ["2020-01-01T00:00:00+00:00"],
    "pd.Timestamp('2020-01-01T00:00:00.123456789')": "2020-01-01T00:00:00.123456",
    "np.array([(1, 0.9)], dtype=[('x', 'i4'), ('y', 'f4')])": [{"x": 1, "y": 0.9}],
    "np.ma.array(np.array([0.9, 1], 'f4'), mask=[0, 1])": [0.9, None],
    "{'a', 'c', 'b'}": ["a", "b", "c"],
    "collections.UserString('ab')": "ab",
    "[memoryview(b'ab'), b'ab']": ["ab", "ab"],
    "[2**70, np.array([0.9], 'f4'), times([1], 'UTC'), float('nan')]": [
        2**70,
        [0.9],
        ["2024-02-01T00:00:00.250000+00:00"],
        None,
    ],
    "Aliased(inner=0.5)": {"Inner": 0.5},
    "[Aliased(inner=0.5)]": [{"Inner": 0.5}],
    "AliasedData(inner=0.5)": {"Inner": 0.5},
    "{1: Aliased(inner=0.5), None: 1}": {"1": {"Inner": 0.5}, "null": 1},
    "{'inner': Aliased(inner=0.5), 'big': 2**70}": {"inner": {"Inner": 0.5}, "big": 2**70},
}


@pytest.mark.parametrize("source", FORMS)
def test_forms(plain: Replica, source: str) -> None:
    found = plain.post({"source": source})
    assert found.status_code == 200, plain.messages(level="ERROR")[-1:]
    assert found.json() == FORMS[source]


REFUSED = {
    "pd.DataFrame([[1, 2]], columns=['a', 'a'])": "two columns of the table are called 'a'",
    "pd.DataFrame([[1, 2]], columns=[1, '1'])": "two columns of the table are called '1'",
    "{1: 'a', '1': 'b'}": "a dict has two keys that are '1' in JSON",
    "[{'deep': {None: 1, 'null': 2}}]": "a dict has two keys that are 'null' in JSON",
    "{np.float64(1.5): 'a', '1.5': 2**70}": "a dict has two keys that are '1.5' in JSON",
    "np.array([1j])": "complex has no form in JSON",
    "pd.Series(pd.period_range('2020', periods=1, freq='M'))": "Period has no form in JSON",
}


@pytest.mark.parametrize("source", REFUSED)
def test_nothing_is_lost_silently(plain: Replica, source: str) -> None:
    assert REFUSED[source] in refused(plain, source)


def test_the_rows_of_a_table_are_the_answers_of_a_batch(batched: Replica) -> None:
    """Issue 10.1: two clients got the names of the columns."""
    source = "pd.DataFrame({'text': [item['text'] for item in payload], 'of': len(payload)})"
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: batched.post({"source": source, "text": text}).json(), "abcd"))
    assert [row["text"] for row in found] == list("abcd")
    assert max(row["of"] for row in found) > 1  # there was a batch
    assert batched.post({"source": source, "text": "alone"}).json() == {"text": "alone", "of": 1}


SPLIT = {
    "[1]": 1,
    "(1,)": 1,
    "np.array([[1, 2]])": [1, 2],
    "pd.Series([1])": 1,
    "pd.Index([1])": 1,
    "pl.Series([1])": 1,
    "pl.DataFrame({'a': [1]})": {"a": 1},
    "__import__('array').array('d', [1])": 1.0,
    "[{1, 2}]": [1, 2],
}


@pytest.mark.parametrize("source", SPLIT)
def test_answers_of_a_batch(batched: Replica, source: str) -> None:
    found = batched.post({"source": source})
    assert found.status_code == 200, batched.messages(level="ERROR")[-1:]
    assert found.json() == SPLIT[source]


NO_BATCH = [
    "{'a'}",
    "frozenset('a')",
    "{'a': 1}",
    "{'a': 1}.keys()",
    "'a'",
    "b'a'",
    "bytearray(b'a')",
    "memoryview(b'a')",
    "(item for item in payload)",
    "iter([1])",
    "map(str, payload)",
    "zip(payload)",
    "range(1)",
    "collections.deque([1])",
    "collections.Counter('a')",
    "collections.UserList([1])",
    "collections.namedtuple('Answer', 'label')('a')",
    "np.array(1)",
    "np.float32(1)",
    "1",
    "None",
    "Data([1])",
    "Model(x=[1])",
    "__import__('cortex_serving').Response([1])",
]


@pytest.mark.parametrize("source", NO_BATCH)
def test_values_without_order_or_entries_are_no_answers_of_a_batch(batched: Replica, source: str) -> None:
    assert refused(batched, source).startswith(
        "a batch of 1 failed: with batching, predict must return a list, tuple, array, Series or DataFrame "
        "with one entry for each request, not "
    )


@pytest.mark.parametrize("source", ["[1, 2]", "[]", "pd.DataFrame({'a': [1, 2, 3]})", "np.zeros((0, 3))"])
def test_a_batch_has_as_many_answers_as_requests(batched: Replica, source: str) -> None:
    assert re.fullmatch(r"a batch of 1 failed: predict returned \d values for a batch of 1", refused(batched, source))
