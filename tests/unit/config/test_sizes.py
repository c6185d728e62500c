"""What is too large for a template, a policy or a process is refused with its field, its size and the limit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.config.checks.sizes import MOST_POLICY_CHARACTERS, policy_characters
from cortex_cdk.errors import ConfigError
from tests.unit.config.conftest import LoadText


def written(**predictor: Any) -> str:
    fields = {"type": "python", "path": "predictor.py", **predictor}
    return json.dumps([{"name": "iris", "kind": "RealtimeAPI", "predictor": fields}])


def models(count: int, folder: str = "s3://models/text") -> list[dict[str, str]]:
    return [{"name": f"model-{number}", "model_path": f"{folder}/model-{number}"} for number in range(count)]


WORDS = {f"word-{number}": number for number in range(3000)}


@pytest.mark.parametrize(
    ("predictor", "field", "hint"),
    [
        ({"config": WORDS}, "config", "a file of the project, and read the file in __init__"),
        ({"config": {"prompt": "x" * 70_000}}, "config", "a file of the project"),
        ({"config": {"prompt": "é" * 6000}}, "config", "a file of the project"),
        ({"config": {"quotes": '"' * 9000}}, "config", "a file of the project"),
        ({"env": {"WORDS": "x" * 40_000}}, "env", r"into \.env"),
        ({"env": {"WORDS": "x" * 200_000}}, "env", r"into \.env"),
        ({"env": {f"WORD_{n}": "x" * 100 for n in range(300)}}, "env", r"into \.env"),
        ({"config": {"a": "x" * 20_000}, "env": {"B": "x" * 15_000}}, "config", "a file of the project"),
        ({"models": models(60, f"s3://models/{'x' * 80}")}, "models", r"models\.dir"),
        ({"models": models(400, "model")}, "models", r"models\.dir"),
    ],
)
def test_what_is_too_large_is_refused(
    load_text: LoadText, project: Path, predictor: dict[str, Any], field: str, hint: str
) -> None:
    for number in range(400):
        (project / "model" / f"model-{number}").mkdir()
    client = {"models": "def __init__(self, config, python_client): ...\n    def load_model(self, model_path): ..."}
    if field in client:
        source = f"class PythonPredictor:\n    {client[field]}\n    def predict(self, payload): ...\n"
        (project / "predictor.py").write_text(source)
    with pytest.raises(ConfigError) as caught:
        load_text(written(**predictor))
    (problem,) = caught.value.problems
    assert problem.path == f"iris.predictor.{field}"
    assert any(character.isdigit() for character in problem.message)
    assert problem.hint
    assert problem.line == 1
    assert re.search(hint, problem.hint)


def test_what_fits_is_accepted(load_text: LoadText, project: Path) -> None:
    assert load_text(written(config={"prompt": "x" * 25_000})).apis
    (project / ".env").write_text(f"WORDS={'x' * 120_000}\n")
    assert load_text(written()).apis


def test_a_variable_of_the_env_file_that_no_process_can_be_given(load_text: LoadText, project: Path) -> None:
    (project / ".env").write_text(f"GOOD=1\nWORDS={'x' * 131_072}\n")
    with pytest.raises(ConfigError, match=r"\.env:2.*WORDS: takes 131,079 bytes, and a process can be given 131,072"):
        load_text(written())


def test_paths_in_one_folder_take_no_room(load_text: LoadText) -> None:
    api = load_text(written(type="tensorflow", models={"dir": "s3://models/text"}))
    assert policy_characters(api.apis[0].predictor) < MOST_POLICY_CHARACTERS / 20
