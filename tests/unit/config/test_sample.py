"""A sample request that replicas could not read is refused before anything is created."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import LoadText


@pytest.mark.parametrize("warmup", [None, True, "other.json", False])
def test_a_sample_that_is_not_json(load_text: LoadText, project: Path, warmup: bool | str | None) -> None:
    (project / "sample.json").write_text("{'x': 1}")
    (project / "other.json").write_text("[1]")
    field = "" if warmup is None else f", warmup: {json.dumps(warmup)}"
    text = f"- name: a\n  kind: RealtimeAPI\n  predictor: {{type: python, path: predictor.py{field}}}\n"
    if warmup in (None, True):
        with pytest.raises(ConfigError, match=r"a\.predictor\.warmup: sample\.json, the sample request, is not JSON"):
            load_text(text)
    else:
        assert load_text(text).apis
