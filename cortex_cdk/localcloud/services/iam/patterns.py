"""Matches the wildcards and variables of IAM policies.

Source: IAM user guide, "IAM JSON policy elements: Resource" and "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

Context = Mapping[str, tuple[str, ...]]
"""What a request's conditions are checked against: values by the name of the key, in lower case."""

VARIABLE = re.compile(r"\$\{([^}]*)\}")
LITERALS = {"*": "*", "?": "?", "$": "$"}
"""Variables that stand for a character, so that it is no wildcard."""
DEFAULT = re.compile(r"^(?P<key>[^,]+?)\s*,\s*'(?P<value>.*)'$")
ARN_FIELDS = 6


def matches(pattern: str, text: str, context: Context, *, ignore_case: bool = False) -> bool:
    """Return whether a text matches a pattern with ``*``, ``?`` and variables such as ``${aws:username}``.

    A pattern with a variable that has no value matches nothing.
    """
    found = _expression(pattern, context)
    return found is not None and _compiled(found, ignore_case).fullmatch(text) is not None


def matches_arn(pattern: str, arn: str, context: Context) -> bool:
    """Return whether an ARN matches a pattern, whose wildcards stay inside the fields between colons.

    Args:
        pattern: An ARN with wildcards, which may end early, or ``*``.
        arn: The ARN of a resource, or ``*`` for an action without resources, which only ``*`` matches.
        context: Values of variables.
    """
    if pattern == "*" or arn == "*":
        return pattern == "*"
    fields = _split(pattern)
    fields += ["*"] * (ARN_FIELDS - len(fields))
    parts = _split(arn)
    return len(fields) == len(parts) and all(
        matches(field, part, context) for field, part in zip(fields, parts, strict=True)
    )


def fill_in(text: str, context: Context) -> str | None:
    """Return a text with the values of its variables; None where a variable has no value."""
    values = [_value(name, context) for name in VARIABLE.findall(text)]
    if None in values:
        return None
    rest = iter(values)
    return VARIABLE.sub(lambda _: next(rest) or "", text)


def _split(arn: str) -> list[str]:
    """Return the fields of an ARN. Colons inside variables and inside the last field separate nothing."""
    fields: list[str] = []
    start, is_inside = 0, False
    for position, character in enumerate(arn):
        if arn.startswith("${", position):
            is_inside = True
        elif character == "}":
            is_inside = False
        elif character == ":" and not is_inside and len(fields) < ARN_FIELDS - 1:
            fields.append(arn[start:position])
            start = position + 1
    return [*fields, arn[start:]]


def _expression(pattern: str, context: Context) -> str | None:
    parts = VARIABLE.split(pattern)
    built = []
    for number, part in enumerate(parts):
        if number % 2:
            value = _value(part, context)
            if value is None:
                return None
            built.append(re.escape(value))
        else:
            built.append(re.escape(part).replace(r"\*", ".*").replace(r"\?", "."))
    return "".join(built)


def _value(name: str, context: Context) -> str | None:
    if name in LITERALS:
        return LITERALS[name]
    default = DEFAULT.match(name)
    key = default["key"] if default else name
    values = context.get(key.lower(), ())
    if len(values) == 1:
        return values[0]
    return default["value"] if default else None


@lru_cache(maxsize=4096)
def _compiled(expression: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
