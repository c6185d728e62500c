"""What AWS would refuse, as `cortex deploy` says it: which resource, why, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.conftest import Cortex

PREDICTOR = """\
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one API, `text`."""
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    api = {"name": "text", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (tmp_path / "cortex.yaml").write_text(yaml.safe_dump([api]))
    return tmp_path


def test_a_name_that_is_taken_is_named_before_anything_is_made(cortex: Cortex, project: Path) -> None:
    cortex.ok("cluster", "up", "--yes")
    logs = cortex.aws("logs")
    logs.create_log_group(logGroupName="/cortex/local/text")
    done = cortex.run("deploy", cwd=project)
    assert done.returncode == 1
    assert (
        "error: cortex-local-api-text: Logs (AWS::Logs::LogGroup): Resource of type 'AWS::Logs::LogGroup' with "
        "identifier '/cortex/local/text' already exists.\n"
        "hint: delete what has that name if nobody needs it any more, and try again\n"
    ) in done.stderr
    stacks = cortex.aws("cloudformation").describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks] == ["cortex-local-cluster"], "no empty stack stays"

    logs.delete_log_group(logGroupName="/cortex/local/text")
    assert cortex.ok("deploy", cwd=project).startswith("created text")
