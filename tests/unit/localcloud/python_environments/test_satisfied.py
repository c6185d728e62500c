"""Whether the running interpreter meets a requirements file."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from cortex_cdk.localcloud.python_environments.satisfied import are_satisfied


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        "click",
        "Click >= 8  # the command line\nPyYAML",
        f"click=={version('click')}",
        "click \\\n  >=8",
        "no-such-package; python_version < '3'",
        "coverage[toml]; python_version < '3'",
        "moto[s3]",
    ],
)
def test_met(text: str) -> None:
    assert are_satisfied(text)


@pytest.mark.parametrize(
    "text",
    [
        "no-such-package",
        "click<1",
        "click\nno-such-package",
        "click @ https://example.com/click.whl",
        "-r more.txt",
        "--index-url https://example.com/simple\nclick",
        "-e .",
        "./package",
        "click --hash=sha256:00",
        "click[no-such-extra]",
        "moto[glue,no-such-extra]",
    ],
)
def test_not_met(text: str) -> None:
    assert not are_satisfied(text)
