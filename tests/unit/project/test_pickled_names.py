"""Pickles of a notebook's classes are found, whichever way they were written; others are left alone."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from cortex_cdk.project.pickled_names import CHUNK_BYTES, names_of_main

CELL = """
class Tokenizer:
    def __init__(self):
        self.words = {"a": 1}

def scale(x):
    return x
"""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What a notebook's cell has defined."""
    module = ModuleType("__main__")
    exec(CELL, module.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", module)
    yield module


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(notebook: Any, protocol: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps({"model": notebook.Tokenizer()}, protocol=protocol))
    assert names_of_main(tmp_path / "file") == ["Tokenizer"]


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblib_between_arrays(notebook: Any, compress: Any, tmp_path: Path) -> None:
    # Longer than a chunk, before and after the object.
    value = [np.arange(CHUNK_BYTES), make_pipeline(FunctionTransformer(notebook.scale)), np.arange(CHUNK_BYTES)]
    joblib.dump(value, tmp_path / "file", compress=compress)
    assert names_of_main(tmp_path / "file") == ["scale"]


def test_a_name_at_the_end_of_a_chunk(notebook: Any, tmp_path: Path) -> None:
    pickled = pickle.dumps(notebook.Tokenizer())
    for before in range(CHUNK_BYTES - len(pickled), CHUNK_BYTES):
        (tmp_path / "file").write_bytes(b" " * before + pickled)
        assert names_of_main(tmp_path / "file") == ["Tokenizer"]


def test_files_of_numpy_and_pytorch(notebook: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.array([notebook.Tokenizer()], dtype=object))
    assert names_of_main(tmp_path / "array.npy") == ["Tokenizer"]
    # As torch.save writes a whole model.
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(notebook.Tokenizer(), protocol=2))
        archive.writestr("model/data/0", b"weights")
    assert names_of_main(tmp_path / "model.pt") == ["Tokenizer"]


@pytest.mark.parametrize(
    "content", [b"", b"text of __main__", gzip.compress(b"text", mtime=0)[:-8], b"\x1f\x8bbroken", b"PK\x03\x04"]
)
def test_other_files_need_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert names_of_main(tmp_path / "file") == []


def test_what_packages_define_is_no_matter(tmp_path: Path) -> None:
    stream = io.BytesIO()
    joblib.dump(LogisticRegression().fit(np.ones((2, 1)), [0, 1]), stream)
    (tmp_path / "file").write_bytes(stream.getvalue() + pickle.dumps("__main__"))
    assert names_of_main(tmp_path / "file") == []
