"""YAML of several worlds: each scalar that YAML 1.1, YAML 1.2 and go-yaml 2 read differently, and what is read here."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import LoadText

API = """
- name: a
  kind: RealtimeAPI
  predictor:
    type: python
    path: predictor.py
    config:
"""

# What go-yaml 2 has in a map without types (resolve.go of gopkg.in/yaml.v2), which the original Cortex read.
AS_GO_YAML = {
    "1e-5": 1e-5,
    "1E5": 1e5,
    "1e+5": 1e5,
    "-2.5e-3": -2.5e-3,
    "1.e3": 1000.0,
    ".5e1": 5.0,
    "1.": 1.0,
    ".5": 0.5,
    "-.5": -0.5,
    "+1.5": 1.5,
    "1_000.5": 1000.5,
    "1_000": 1000,
    "+7": 7,
    "0": 0,
    "-0": 0,
    "0777": 511,
    "-010": -8,
    "00": 0,
    "0o17": 15,
    "0b101": 5,
    "-0b101": -5,
    "0xFF": 255,
    "-0x1f": -31,
    "08": 8.0,
    "0192": 192.0,
    "18446744073709551615": 2**64 - 1,
    "-9223372036854775808": -(2**63),
    "18446744073709551616": 1.8446744073709552e19,
    "1:30": "1:30",
    "190:20:30": "190:20:30",
    "12:30:45.5": "12:30:45.5",
    "2020-09-29": "2020-09-29",
    "2020-09-29T10:00:00Z": "2020-09-29T10:00:00Z",
    "=": "=",
    "1e": "1e",
    "e5": "e5",
    ".e5": ".e5",
    "._5": "._5",
    "_1": "_1",
    "0x": "0x",
    "0b2": "0b2",
    "1.2.3": "1.2.3",
    "0.19.1": "0.19.1",
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "nULL": "nULL",
    "": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "tRUE": "tRUE",
    "yes": True,
    "On": True,
    "y": True,
    "no": False,
    "OFF": False,
    "N": False,
    "yEs": "yEs",
    "none": "none",
    "None": "None",
    "'no'": "no",
    '"1e5"': "1e5",
    "'08'": "08",
    "!!str y": "y",
    "!!str 08": "08",
    "!!float 1": 1.0,
    "<<": "<<",
    "'\\d'": "\\d",
    '"\\/"': "/",
    '"\\u00e9"': "é",
    "[yes, 'yes', 1e1]": [True, "yes", 10.0],
    "{a: no}": {"a": False},
    "\U0001f600": "\U0001f600",
}


@pytest.mark.parametrize("written", AS_GO_YAML)
def test_scalars_without_a_type_are_read_as_the_original_did(load_text: LoadText, written: str) -> None:
    value: Any = load_text(f"{API}      value: {written}\n").apis[0].predictor.config["value"]
    expected = AS_GO_YAML[written]
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize("written", ["1e400", "-1e400", ".inf", "-.INF", ".nan", ".NaN"])
def test_numbers_that_json_does_not_have_are_refused(load_text: LoadText, written: str) -> None:
    with pytest.raises(ConfigError, match=r"a\.predictor\.config\.value: must be a finite number"):
        load_text(f"{API}      value: {written}\n")


@pytest.mark.parametrize(
    ("key", "shown"), [("1", "1"), ("1e5", "1e5"), ("yes", "yes"), ("off", "off"), ("null", "null"), ("0x1", "0x1")]
)
def test_keys_are_text(load_text: LoadText, key: str, shown: str) -> None:
    with pytest.raises(ConfigError, match=f"the key '{shown}' is not text"):
        load_text(f"{API}      {key}: 1\n")


@pytest.mark.parametrize("key", ["x", "y", "n", "08", "2020-09-29", "1:30", "=", "1.2.3"])
def test_keys_that_are_text_here(load_text: LoadText, key: str) -> None:
    assert load_text(f"{API}      {key}: 1\n").apis[0].predictor.config == {key: 1}


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "N"])
def test_booleans_that_may_be_meant_as_text_are_told(load_text: LoadText, word: str) -> None:
    config = load_text(f"{API}      countries: [DE, {word}]\n      plain: true\n      quoted: '{word}'\n")
    (warning,) = config.warnings
    value = "true" if word.lower() in ("yes", "on", "y") else "false"
    assert str(warning).endswith(
        f"cortex.yaml:8:23: a.predictor.config.countries[1]: {word} means {value}, as in Cortex "
        f'(write "{word}" if you mean text)'
    )


def test_fields_with_a_type_take_text_that_looks_like_something_else(load_text: LoadText) -> None:
    text = API.replace("name: a", "name: y").replace("config:", "env: {A: 1:30, B: 08, C: 2020-09-29, D: y}")
    (api,) = load_text(text).apis
    assert (api.name, api.predictor.env) == ("y", {"A": "1:30", "B": "08", "C": "2020-09-29", "D": "y"})


@pytest.mark.parametrize("value", ["129e6", "1.29e8", "'129e6'", "129000000", "129M"])
def test_sizes_with_an_exponent(load_text: LoadText, value: str) -> None:
    assert load_text(f"{API}      a: 1\n  compute: {{mem: {value}}}\n").apis[0].compute.mem == 129_000_000


# Where go-yaml 2 is silent and somebody would be surprised, the file is refused.
REFUSED = {
    "      a: 1\n      a: 2\n": "is written twice",
    "      a: !!binary aGVsbG8=\n": "values of type binary are not allowed",
    "      a: !secret b\n": "remove the tag",
    "      a: !!bool maybe\n": "remove the tag",
    "      a: !!int 1:30\n": "remove the tag",
    "      a: 1\n---\n- name: b\n": "expected a single document",
}


@pytest.mark.parametrize("text", REFUSED)
def test_more_than_the_original_is_refused(load_text: LoadText, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(API + text)
    assert REFUSED[text] in str(caught.value)
