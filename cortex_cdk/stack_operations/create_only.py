"""Which properties of a resource cannot change in place, so that CloudFormation makes the resource anew.

The table ``create_only.json`` is taken from CloudFormation's own resource schemas (``createOnlyProperties`` and
``conditionalCreateOnlyProperties``; "Resource type schema", CloudFormation CLI user guide), for the types that the
stacks have: ``CORTEX_WRITE_GOLDEN=1 pytest tests/stacks/test_proof.py`` writes it anew (docs/decisions/0052).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_suffix(".json")
ALWAYS, PERHAPS, NEVER = "yes", "perhaps", "no"
"""Whether a resource is made anew."""


def replacement(resource_type: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Decide whether a changed resource is made anew.

    Args:
        resource_type: Such as ``AWS::ECS::Service``.
        before: Its properties before the change.
        after: Its properties afterwards.

    Returns:
        ``ALWAYS``, ``PERHAPS`` (it depends on the values, or the type is not in the table) or ``NEVER``.
    """
    known = _table().get(resource_type)
    if known is None:
        return PERHAPS
    for verdict in (ALWAYS, PERHAPS):
        if any(_at(before, path) != _at(after, path) for path in known[verdict]):
            return verdict
    return NEVER


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    table: dict[str, dict[str, list[str]]] = json.loads(TABLE.read_text())
    return table


def _at(properties: Any, path: str) -> Any:
    for part in path.split("/"):
        if not isinstance(properties, dict):
            return None
        properties = properties.get(part)
    return properties
