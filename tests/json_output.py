"""The documented shape of what commands print with ``-o json``: one JSON Schema for each, in docs/output/."""

import json
from typing import Any

import jsonschema

from tests.conftest import ROOT


def read_json(command: str, printed: str) -> Any:
    """Parse what a command printed, and require the shape that is documented for the command.

    Args:
        command: The command's words, joined by hyphens, such as ``cluster-info``.
        printed: The command's stdout.
    """
    value = json.loads(printed)
    schema = json.loads((ROOT / f"docs/output/{command}.schema.json").read_text())
    jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())
    return value
