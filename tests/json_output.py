"""The documented shape of what commands print with ``-o json``: one JSON Schema for each, in docs/output/."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

SCHEMAS = Path(__file__).resolve().parents[1] / "docs/output"
ENDING = ".schema.json"
# Each line is a document.
BY_LINE = frozenset({"logs", "dev"})
WANTED = frozenset({("-o", "json"), ("--output", "json")})


def read_json(command: str, printed: str) -> Any:
    """Parse what a command printed, and require the shape that is documented for the command.

    Args:
        command: The command's words, joined by hyphens, such as ``cluster-info``.
        printed: The command's stdout.
    """
    value = json.loads(printed)
    require_shape(command, value)
    return value


def require_shape(shape: str, value: Any) -> None:
    """Require that a value has a documented shape.

    Args:
        shape: What comes before ``.schema.json`` in the file's name.
        value: A document as ``json.loads`` returns it.
    """
    jsonschema.validate(
        value,
        schema(shape),
        registry=Registry(retrieve=_retrieve),  # type: ignore[call-arg]
        format_checker=jsonschema.FormatChecker(),
    )


def schema(shape: str) -> Any:
    """Read a schema."""
    return json.loads((SCHEMAS / f"{shape}{ENDING}").read_text())


def shapes() -> set[str]:
    """The names of all schemas."""
    return {path.name.removesuffix(ENDING) for path in SCHEMAS.glob(f"*{ENDING}")}


def require_documented(arguments: Sequence[str], printed: str) -> None:
    """Require the documented shape of whatever a run of ``cortex`` printed, if it was to print JSON.

    Args:
        arguments: The command line.
        printed: What was on stdout; nothing where the command line was wrong.
    """
    if not printed.strip() or not WANTED.intersection(pairwise(arguments)):
        return
    words = ["-".join(arguments[:count]) for count in range(min(3, len(arguments)), 0, -1)]
    command = next((name for name in words if name in shapes()), words[-1])
    for document in printed.splitlines() if command in BY_LINE else [printed]:
        value = json.loads(document)
        require_shape("error" if isinstance(value, dict) and set(value) == {"error"} else command, value)


def _retrieve(uri: str) -> Resource[Any]:
    return Resource.from_contents(schema(uri.removesuffix(ENDING)))
