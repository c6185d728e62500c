"""The examples of docs/ do what the pages say.

A block with ``title=`` is a file; a ``console`` block after it has commands, each with the output that follows it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import running

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("predictor.md", "batching.md", "models.md", "serving-metrics.md")
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Example = tuple[dict[str, str], str]


def _examples(page: str) -> Iterator[Example]:
    """Files and console text of each example of a page."""
    files: dict[str, str] = {}
    for kind, title, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if title:
            files[title] = text
        elif kind == "console":
            yield files, text
            files = {}


EXAMPLES = [(f"{page}-{number}", example) for page in PAGES for number, example in enumerate(_examples(page))]


def test_every_page_has_examples() -> None:
    assert {name.rsplit("-", 1)[0] for name, _ in EXAMPLES} == set(PAGES)


@pytest.mark.parametrize("example", [example for _, example in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_example(example: Example, tmp_path: Path) -> None:
    files, console = example
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with running([str(tmp_path), "--listen", "127.0.0.1:0"]) as replica:
        for part in console.split("$ ")[1:]:
            command, _, expected = part.partition("\n")
            command = command.replace("http://127.0.0.1:8888", replica.address)
            output = subprocess.run(command, shell=True, check=True, capture_output=True, text=True, timeout=30).stdout
            assert output.strip() == expected.strip(), command
