"""JSON of an API, indented."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.predict.answers import Prediction
from cortex_cdk.predict.json_text import indented

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_it_looks_as_python_writes_it(value: Any, escapes: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=escapes, indent=indent)
    assert indented(text) == json.dumps(value, indent=2, ensure_ascii=False)
    assert json.loads(f'{{"a": {indented(text, 1)}}}') == {"a": value}


def test_numbers_stay_as_they_were_answered() -> None:
    answer = Prediction("application/json", b'{"p":0.10,"e":1e-5,"many":[1E400,12345678901234567890.0],"none":[]}')
    numbers = (
        '{\n  "p": 0.10,\n  "e": 1e-5,\n  "many": [\n    1E400,\n    12345678901234567890.0\n  ],\n  "none": []\n}'
    )
    assert answer.as_text() == numbers


@pytest.mark.parametrize("body", [b"", b"{", b"{1}", b"\xff\xfe\xfd"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    answer = Prediction("application/json", body)
    with pytest.raises(ValueError):
        answer.as_text()
    assert answer.within(1) is None
    assert Prediction("text/plain", b"1").within(1) is None
