"""What is wrong with a payload, in few words: of the alternatives of a union, only the one that fits best.

pydantic reports the problems of every alternative. Their places have the alternative's name in between, such as
``("items", 0, "Flower", "width")``: a part that leads nowhere in the value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Problem = Mapping[str, Any]
"""One of pydantic's errors: ``loc``, ``type``, ``msg``."""
Place = tuple[Any, ...]


def best_fitting(problems: Sequence[Problem], value: Any, schema: Mapping[str, Any]) -> list[Problem]:
    """Leave out the problems of alternatives that were not meant.

    Args:
        problems: Those of pydantic.
        value: The payload.
        schema: JSON schema of the payload's type, with definitions under ``$defs``.

    Returns:
        The problems that are left, in their order.
    """
    left = list(problems)
    level = 0
    while True:
        unions: dict[Place, dict[str, list[Problem]]] = defaultdict(lambda: defaultdict(list))
        for problem in left:
            labels = _labels(problem, value)
            if len(labels) > level:
                at = labels[level]
                unions[problem["loc"][:at]][problem["loc"][at]].append(problem)
        if not unions:
            return left
        for place, alternatives in unions.items():
            kept = _best(alternatives, _at(value, place), schema, len(place))
            mine = [problem for group in alternatives.values() for problem in group]
            first = left.index(mine[0])
            left = [problem for problem in left if not any(problem is other for other in mine)]
            left[first:first] = kept
        level += 1


def _best(alternatives: dict[str, list[Problem]], value: Any, schema: Mapping[str, Any], depth: int) -> list[Problem]:
    if len(alternatives) > 1 and (tag := _common_tag(alternatives, depth)):
        return tag
    definitions = schema.get("$defs", {})

    def unfit(label: str) -> tuple[bool, int, int, int]:
        group = alternatives[label]
        other_kind = any(len(each["loc"]) == depth + 1 and each["type"].endswith("_type") for each in group)
        tags = sum(each["type"] == "literal_error" for each in group)
        known = definitions.get(label, {}).get("properties", {})
        named = sum(key in known for key in value) if isinstance(value, Mapping) else 0
        return other_kind, tags, -named, len(group)

    return alternatives[min(alternatives, key=unfit)]


def _common_tag(alternatives: dict[str, list[Problem]], depth: int) -> list[Problem]:
    """Return the problem of a field that tells alternatives apart, if its value is that of none of them."""
    tags = [
        {each["loc"][depth + 1 :]: each for each in group if each["type"] == "literal_error"}
        for group in alternatives.values()
    ]
    common = set(tags[0]).intersection(*tags[1:])
    if not common:
        return []
    place = min(common, key=len)
    found = [group[place] for group in tags]
    words = " or ".join(each["msg"].removeprefix("Input should be ") for each in found)
    return [{**found[0], "loc": (*found[0]["loc"][:depth], *place), "msg": f"Input should be {words}"}]


def _labels(problem: Problem, value: Any) -> list[int]:
    """Return where a problem's place has names of alternatives."""
    labels, place = [], problem["loc"]
    for number, part in enumerate(place):
        if _leads(value, part):
            value = value[part]
        elif not (number == len(place) - 1 and problem["type"].startswith("missing")) and part != "[key]":
            labels.append(number)
    return labels


def _at(value: Any, place: Place) -> Any:
    for part in place:
        if _leads(value, part):
            value = value[part]
    return value


def _leads(value: Any, part: Any) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value)
