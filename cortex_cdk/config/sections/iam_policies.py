"""Checks ``predictor.iam_policies``: ARNs of managed policies, and statements as IAM writes them.

Source: IAM user guide, "IAM JSON policy elements reference" and "IAM and AWS STS quotas".
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.model import Conflict

POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::(aws|\d{12}):policy/[\w+=,.@/-]{1,640}", re.ASCII)
ACTION = re.compile(r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+")
RESOURCE = re.compile(r"\*|arn:[^:]+:[^:]+:[^:]*:[^:]*:.+")
SID = re.compile(r"[A-Za-z0-9]*")
OPERATOR = re.compile(
    r"(ForAllValues:|ForAnyValue:)?"
    r"(String(Not)?(Equals(IgnoreCase)?|Like)|(Numeric|Date)((Not)?Equals|(LessThan|GreaterThan)(Equals)?)"
    r"|Bool|BinaryEquals|(Not)?IpAddress|Arn(Not)?(Equals|Like))(IfExists)?|Null"
)
FIELDS = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
MOST_POLICIES = 10
"""Managed policies that a role can have, by default. Ours are inline."""

Policies = tuple[str | dict[str, Any], ...]


def managed(policies: Policies) -> list[str]:
    """Return the ARNs of the managed policies."""
    return [policy for policy in policies if isinstance(policy, str)]


def statements(policies: Policies) -> list[dict[str, Any]]:
    """Return the statements."""
    return [policy for policy in policies if isinstance(policy, dict)]


def statement_characters(policies: Policies) -> int:
    """Return the characters that IAM counts of the statements, which leaves out whitespace."""
    found = statements(policies)
    return len(json.dumps(found, separators=(",", ":"), default=str)) if found else 0


def conflicts(policies: Policies) -> Iterator[Conflict]:
    """Yield what is wrong with the policies; paths are relative to the list."""
    for index, policy in enumerate(policies):
        if isinstance(policy, str):
            yield from _arn(index, policy)
        else:
            yield from (conflict.below(index) for conflict in _statement(policy))
    yield from _repeated(policies)
    count = len(managed(policies))
    if count > MOST_POLICIES:
        yield Conflict(
            ((),), f"has {count} managed policies, and a role can have {MOST_POLICIES}", "put several into one"
        )


def _arn(index: int, policy: str) -> Iterator[Conflict]:
    if not POLICY_ARN.fullmatch(policy):
        yield Conflict(
            ((index,),),
            f"must be the ARN of a policy or a statement, not {json.dumps(policy)}",
            "an ARN is such as arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess; a statement is a map with Effect, "
            "Action and Resource",
        )


def _repeated(policies: Policies) -> Iterator[Conflict]:
    arns: Counter[str] = Counter()
    sids: Counter[str] = Counter()
    for index, policy in enumerate(policies):
        if isinstance(policy, str):
            arns[policy] += 1
            if arns[policy] == 2:
                yield Conflict(((index,),), "is in the list already", "remove one of them")
        elif isinstance(policy.get("Sid"), str):
            sids[policy["Sid"]] += 1
            if policy["Sid"] and sids[policy["Sid"]] == 2:
                yield Conflict(((index, "Sid"),), f"another statement is called {policy['Sid']}", "Sids must be unique")


def _statement(statement: Mapping[str, Any]) -> Iterator[Conflict]:
    for name in statement:
        if name not in FIELDS:
            yield Conflict(((name,),), "is not a field of a statement", _what_else(name))
    if "Statement" in statement:
        return
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        yield Conflict(
            (("Effect",), ()), "must be Allow or Deny" if "Effect" in statement else "needs Effect: Allow or Deny"
        )
    if not isinstance(statement.get("Sid", ""), str) or not SID.fullmatch(statement.get("Sid", "")):
        yield Conflict((("Sid",),), "must be letters and digits")
    yield from _either(statement, "Action", ACTION, "an action such as s3:GetObject, or *")
    yield from _either(statement, "Resource", RESOURCE, "an ARN such as arn:aws:s3:::bucket/*, or *")
    yield from _condition(statement.get("Condition", {}))


def _either(statement: Mapping[str, Any], name: str, form: re.Pattern[str], words: str) -> Iterator[Conflict]:
    given = [field for field in (name, f"Not{name}") if field in statement]
    if len(given) != 1:
        problem = f"needs {name} or Not{name}" if not given else f"has {name} and Not{name}, and only one can be"
        yield Conflict(((),), problem)
        return
    value = statement[given[0]]
    several = isinstance(value, list)
    for index, one in enumerate(value if several else [value]):
        if not isinstance(one, str) or not form.fullmatch(one):
            path: FieldPath = (given[0], index) if several else (given[0],)
            yield Conflict((path,), f"must be {words}, not {json.dumps(one, default=str)}")
    if value == []:
        yield Conflict(((given[0],),), f"must have at least one entry: {words}")


def _condition(condition: Any) -> Iterator[Conflict]:
    if not isinstance(condition, dict):
        yield Conflict((("Condition",),), "must be a map of operators, such as StringLike: {s3:prefix: models/*}")
        return
    for operator, keys in condition.items():
        if not isinstance(operator, str) or not OPERATOR.fullmatch(operator):
            yield Conflict((("Condition", operator),), "is not an operator of IAM, such as StringEquals")
        elif not isinstance(keys, dict) or not all(map(_is_value, keys.values())):
            yield Conflict((("Condition", operator),), "must be a map from keys to a value or a list of values")


def _is_value(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(one, str | bool | int | float) for one in values)


def _what_else(name: Any) -> str:
    if name in ("Version", "Statement"):
        return "list the statements themselves, without Version and Statement"
    if name in ("Principal", "NotPrincipal"):
        return "remove it: the statements are for the API's replicas"
    close = difflib.get_close_matches(str(name).capitalize(), FIELDS, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"the fields of a statement are {', '.join(FIELDS)}"
