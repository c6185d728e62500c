"""YAML as it is read: places, and files that are no configuration."""

# ruff: noqa: E501 - tables of messages and values

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cdk.config import load_config
from cortex_cdk.config.document import read_document
from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import SOURCE, LoadText

API = "- name: a\n  kind: RealtimeAPI\n  predictor: {type: python, path: predictor.py}\n"


def refused(load_text: LoadText, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    return [str(problem).split("cortex.yaml:", 1)[1].strip() for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty"),
        ("# nothing\n", "1:1: the file is empty"),
        ("a: b\n", "1:1: must be a list of one or more APIs (each starting with '- name: ...') (put '- ' before the first"),
        ("text", "1:1: must be a list of one or more APIs"),
        ("[]", "1:1: must be a list of one or more APIs"),
        ("null", "1:1: must be a list of one or more APIs"),
        ("- a", "1:3: [0]: must be a map with name, kind and more"),
        ("- a: [1\n- b", "2:4: is not valid YAML: while parsing a flow sequence expected ',' or ']', but got"),
        ("- a:\n\t- b", "2:1: is not valid YAML: while scanning for the next token found character '\\t' that cannot start any "
         "token (indent with spaces)"),
        ("- a: *b", "1:6: is not valid YAML: found undefined alias 'b'"),
        (API + "---\n" + API, "4:1: is not valid YAML: expected a single document in the stream but found another document"),
        ("- name: '\x07'", "1: character U+0007 is not allowed in YAML"),
        ("- &a [*a]", "1:3: [0][0]: contains itself"),
        ("[" * 3000, "the file is nested too deeply"),
    ],
)  # fmt: skip
def test_files_that_are_no_configuration(load_text: LoadText, text: str, expected: str) -> None:
    (problem,) = refused(load_text, text)
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  compute: {gpu: 1, cpu: 1, gpu: 1}", "4:29: a.compute.gpu: is written twice; the first one is in line 4 (keep one of them)"),
        ("  name: b", "4:3: a.name: is written twice; the first one is in line 1 (keep one of them)"),
        ("  1: b", "4:3: a: the key '1' is not text (put it in quotes)"),
        ("  ? [a]\n  : b", "4:5: a: a key must be text, not a list or a map"),
        ("  compute: {cpu: .inf}", "4:18: a.compute.cpu: must be a finite number, not .inf"),
        ("  compute: {mem: !!binary aGVsbG8=}", "4:18: a.compute.mem: values of type binary are not allowed (write it as text)"),
        ("  compute: {mem: !secret x}", "4:18: a.compute.mem: 'x' with the tag '!secret' cannot be read (remove the tag)"),
        ("  compute: {gpu: !!int x}", "4:18: a.compute.gpu: 'x' with the tag 'tag:yaml.org,2002:int' cannot be read (remove the tag)"),
        ('  compute: {mem: "\\ud800"}', "4:18: a.compute.mem: contains half of a surrogate pair, which is no character"),
        ("  <<: 1", "4:7: a.<<: must name a map, or a list of maps"),
    ],
)  # fmt: skip
def test_what_no_configuration_may_contain(load_text: LoadText, line: str, expected: str) -> None:
    assert refused(load_text, f"{API}{line}\n")[0] == expected


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: does not exist"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match=r"cortex\.yaml: does not exist"):
        load_config(tmp_path)
    (tmp_path / "cortex.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"cortex\.yaml: is not a file"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"- name: a\n- \xe4")
    with pytest.raises(ConfigError, match=r"latin\.yaml:2: is not UTF-8 text"):
        load_config(tmp_path / "latin.yaml")
    with (tmp_path / "big.yaml").open("wb") as stream:
        stream.truncate(5 * 2**20)
    with pytest.raises(ConfigError, match=r"big\.yaml: is larger than 4 MiB"):
        load_config(tmp_path / "big.yaml")


def test_a_folder_stands_for_its_cortex_yaml(tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(SOURCE)
    (tmp_path / "cortex.yaml").write_text(API)
    assert load_config(tmp_path).path == tmp_path / "cortex.yaml"


def test_byte_order_mark_and_windows_lines(load_text: LoadText) -> None:
    assert load_text("\ufeff" + API.replace("\n", "\r\n")).apis[0].name == "a"


def test_dates_are_text(load_text: LoadText) -> None:
    text = API.replace("predictor.py}", "predictor.py, config: {trained: 2020-09-29, n: 1e3, on: yes}}")
    (problem,) = refused(load_text, text)
    assert problem == "3:87: a.predictor.config: the key 'on' is not text (put it in quotes)"
    config = load_text(text.replace("on:", '"on":')).apis[0].predictor.config
    assert config == {"trained": "2020-09-29", "n": 1000.0, "on": True}


def test_anchors_and_merge_keys(load_text: LoadText) -> None:
    text = (
        "- &base\n"
        "  name: a\n"
        "  kind: RealtimeAPI\n"
        "  predictor: &predictor {type: python, path: predictor.py}\n"
        "  compute: {cpu: 1, mem: 1Gi}\n"
        "- <<: *base\n"
        "  name: b\n"
        "  compute: {cpu: 2}\n"
        "- name: c\n"
        "  kind: RealtimeAPI\n"
        "  predictor: {<<: [{threads_per_process: 3}, *predictor], threads_per_process: 2}\n"
    )
    first, second, third = load_text(text).apis
    assert (first.compute.cpu, second.compute.cpu, second.compute.mem) == (1.0, 2.0, None)
    assert (second.networking.endpoint, third.predictor.threads_per_process) == ("/b", 2)
    # A fault in what was merged is shown where it is written, one in the entry itself at the entry.
    assert refused(load_text, text.replace("mem: 1Gi", "mem: 1X").replace("cpu: 2", "cpu: x")) == [
        '5:26: a.compute.mem: must be a size such as 512Mi, 2Gi or 1G (K, M, G, T, Ki, Mi, Gi, Ti), at least 20Mi, not "1X"',
        '8:18: b.compute.cpu: must be a number of CPUs such as 0.5, 2 or 200m, at least 20m, not "x"',
    ]


def test_few_lines_cannot_stand_for_very_many_values(load_text: LoadText) -> None:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    (problem,) = refused(load_text, "\n".join(lines))
    assert "the file stands for more than 50000 values" in problem


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("any") / "cortex.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert caught.value.problems


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.sampled_from(["", "a", "1s", "25%", "python"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["name", "type", "path", "paths", "models", "cpu", "window", "x", "[key]"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
SECTIONS = [
    "name",
    "kind",
    "predictor",
    "networking",
    "compute",
    "monitoring",
    "autoscaling",
    "update_strategy",
    "apis",
    "x",
]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.dictionaries(st.sampled_from(SECTIONS), VALUES | st.sampled_from(["RealtimeAPI", "TrafficSplitter"])))
)
def test_any_data_is_refused_with_places(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    file = tmp_path_factory.mktemp("any") / "cortex.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    document = read_document(file)
    assert document.data == data or document.problems
    try:
        load_config(file)
    except ConfigError as error:
        assert all(problem.line for problem in error.problems if problem.file == file)
