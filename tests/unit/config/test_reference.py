"""The configuration reference is current and complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cortex_cdk.config import Cluster, RealtimeApi, TrafficSplitter, load_config
from cortex_cdk.config.model import Section, allowed, section_type
from cortex_cdk.config.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def sections(model: type[Section]) -> Iterator[type[Section]]:
    yield model
    for field in model.model_fields.values():
        inner = section_type(field.annotation)
        if inner:
            yield from sections(inner)


ALL = {section for model in (RealtimeApi, TrafficSplitter, Cluster) for section in sections(model)}


def test_the_committed_page_is_current() -> None:
    command = "python -m cortex_cdk.config.reference docs/configuration.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), f"run: {command}"


@pytest.mark.parametrize("section", sorted(ALL, key=str))
def test_every_field_is_described(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"
        assert allowed(field)
        assert f"| `{name}` | " in reference()


def test_the_example_of_the_page_loads(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "cortex.yaml").write_text(text)
    source = "class PythonPredictor:\n    def __init__(self, config): ...\n    def predict(self, payload): ...\n"
    (tmp_path / "predictor.py").write_text(source)
    (api,) = load_config(tmp_path).apis
    assert api.name == yaml.safe_load(text)[0]["name"]
