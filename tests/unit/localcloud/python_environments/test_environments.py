"""Whether the running interpreter meets a requirements file, so that no environment need be made."""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from cortex_cdk.localcloud.python_environments.environments import are_met


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        "Click >= 8  # the command line\nPyYAML",
        f"click=={version('click')}",
        "no-such-package; python_version < '3'",
        "moto[s3]",
        "--index-url https://example.invalid/simple\nclick",
    ],
)
def test_met(text: str) -> None:
    assert are_met(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "no-such-package",
        "click<1",
        "click\nno-such-package",
        "click @ https://example.invalid/click-8-py3-none-any.whl",
        "-r more.txt",
        "-e .",
        "./package",
        "coverage[toml]; python_version > '3'",
        "not a requirement ===",
    ],
)
def test_not_met(text: str) -> None:
    assert not are_met(text.encode())


def test_a_wheel_that_would_be_installed_is_not_there(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "own_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("own_thing.py", "")
        wheel.writestr("own_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: own-thing\nVersion: 1.0\n")
        wheel.writestr(
            "own_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("own_thing-1.0.dist-info/RECORD", "")
    assert not are_met(f"--find-links {tmp_path}\nown-thing\n".encode())
