"""``.env``: what a deployment accepts is what replicas read, by the same code; mistakes have their lines."""

# ruff: noqa: E501 - tables of values

from __future__ import annotations

from pathlib import Path

import pytest
from cortex_serving.formats.env_file import read_env_file

from cortex_cdk.config import load_config
from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import SOURCE

API = "- name: a\n  kind: RealtimeAPI\n  predictor: {type: python, path: predictor.py}\n"
PEM = "-----BEGIN KEY-----\nMIIB+/==\n-----END KEY-----"

READ = {
    "KEY=x # note": {"KEY": "x"},
    "\ufeffFIRST=1\nSECOND=2": {"FIRST": "1", "SECOND": "2"},
    f'PEM="{PEM}"\nNEXT=1': {"PEM": PEM, "NEXT": "1"},
    f"PEM='{PEM}'\n": {"PEM": PEM},
    "A=1\r\nB=2\r\n": {"A": "1", "B": "2"},
    "export A=1": {"A": "1"},
    "A = 1": {"A": "1"},
    "A=": {"A": ""},
    "A=''": {"A": ""},
    "A=x#y": {"A": "x#y"},
    'A="x # y" # note': {"A": "x # y"},
    "A=a b c": {"A": "a b c"},
    'A="say \\"hi\\"\\n"': {"A": 'say "hi"\n'},
    "A='it''s'": None,
    "A=x=y": {"A": "x=y"},
    "# A=1\n\n  # B=2\nC=3": {"C": "3"},
    "A=1\nA=2": {"A": "2"},
    "A=1\nB=${A}2": {"A": "1", "B": "12"},
    "B=${MISSING:-default}": {"B": "default"},
    "B=${SET}": {"B": "outside"},
    "SET=file\nB=${SET}": {"B": "outside"},
    "B='${SET}'": {"B": "${SET}"},
    "B=$SET": {"B": "$SET"},
    "A.B-C=1": {"A.B-C": "1"},
    "A=gr\u00fcn": {"A": "gr\u00fcn"},
    "": {},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cortex.yaml").write_text(API)
    (tmp_path / "predictor.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize("text", [text for text, expected in READ.items() if expected is not None])
def test_what_deploys_is_what_replicas_read(project: Path, text: str) -> None:
    (project / ".env").write_bytes(text.encode())
    load_config(project)
    assert read_env_file(project).variables({"SET": "outside"}) == READ[text]


MISTAKES = {
    b"A=1\nB": ".env:2: is not NAME=value (close each quote, and put a value of several lines in double quotes)",
    b"A=1\nsome words": ".env:2: is not NAME=value (close each quote, and put a value of several lines in double quotes)",
    b"=x": ".env:1: is not NAME=value (close each quote, and put a value of several lines in double quotes)",
    b"A=1\nB=\"open\nC=1": ".env:2: is not NAME=value (close each quote, and put a value of several lines in double quotes)",
    b"A='it''s'": ".env:1: is not NAME=value (close each quote, and put a value of several lines in double quotes)",
    f"PEM={PEM}".encode(): ".env:2: is not NAME=value (close each quote, and put a value of several lines in double quotes)",
    b"A=1\n\nCORTEX_API=x": ".env:3: CORTEX_API: is reserved: names that start with CORTEX_",
    b"A=1\nB=\xe4": ".env:2: is not UTF-8 text (save the file as UTF-8)",
    b"A=1\n\n\nsome words\n": ".env:4: is not NAME=value",
    b"A=a\0b": ".env:1: A: contains a zero byte",
    b"1A=x": ".env:1: is not NAME=value",
}  # fmt: skip


@pytest.mark.parametrize("content", MISTAKES)
def test_mistakes_are_told_before_anything_is_created(project: Path, content: bytes) -> None:
    (project / ".env").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(project)
    assert MISTAKES[content] in str(caught.value.problems[0])


def test_no_message_shows_a_secret(project: Path) -> None:
    (project / ".env").write_text("PEM=-----BEGIN KEY-----\nhunter2\nA='hunter2\n")
    with pytest.raises(ConfigError) as caught:
        load_config(project)
    assert "hunter2" not in "\n".join([caught.value.message, *caught.value.details])


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("PATH=$PATH:/opt", True),
        ('A="$HOME/x"', True),
        ("A=$(date)", True),
        ("A='$HOME'", False),
        ("A=${HOME}", False),
        ("A=5$", False),
    ],
)
def test_a_dollar_that_bash_would_replace_is_told(project: Path, line: str, warned: bool) -> None:
    (project / ".env").write_text(f"# first\n{line}\n")
    found = [str(warning) for warning in load_config(project).warnings]
    assert len(found) == warned
    assert all(".env:2: " in warning and "the $ stays a $ here" in warning for warning in found)


def test_a_folder_called_env_is_no_env_file(project: Path) -> None:
    (project / ".env").mkdir()
    load_config(project)
    assert read_env_file(project).variables({}) == {}
