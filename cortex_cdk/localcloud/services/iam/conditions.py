"""Decides whether the conditions of a statement hold for a request.

Source: IAM user guide, "IAM JSON policy elements: Condition operators", "Set operators for multivalued context keys"
and "Conditions with multiple context keys or values".
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from cortex_cdk.localcloud.services.iam.patterns import Context, fill_in, matches, matches_arn

Test = Callable[[str, str, Context], bool]
"""Compares a value of the policy with a value of the request."""

IF_EXISTS = "IfExists"
FOR_ALL, FOR_ANY = "ForAllValues:", "ForAnyValue:"


def hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Return whether all conditions of a statement hold.

    Args:
        conditions: The statement's ``Condition``: operators, keys, and a value or values for each key.
        context: What the request says, by key in lower case.

    An operator that does not exist holds for no request.
    """
    return all(
        _holds(name, as_list(values), context.get(key.lower()), context)
        for name, keys in conditions.items()
        for key, values in keys.items()
    )


def as_list(value: Any) -> list[str]:
    """Return a value or values of a policy as texts; booleans and numbers as JSON writes them."""
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _base(name: str) -> tuple[str, str, bool]:
    """Return the operator without what is around it, the set operator or an empty text, and whether IfExists is set."""
    quantifier = next((prefix for prefix in (FOR_ALL, FOR_ANY) if name.startswith(prefix)), "")
    plain = name.removeprefix(quantifier)
    return plain.removesuffix(IF_EXISTS), quantifier, plain.endswith(IF_EXISTS)


def _holds(name: str, wanted: list[str], found: tuple[str, ...] | None, context: Context) -> bool:
    base, quantifier, if_exists = _base(name)
    if base == "Null":
        return (found is None) == (wanted[0].lower() == "true")
    is_negated = base in NEGATED
    test = TESTS.get(NEGATED.get(base, base))
    if test is None:
        return False
    if not found:
        # Without the key a negated operator holds; so does ForAllValues, of which there is nothing to fail.
        return if_exists or quantifier == FOR_ALL or (is_negated and quantifier != FOR_ANY)

    def fits(value: str) -> bool:
        return any(_safely(test, one, value, context) for one in wanted) != is_negated

    # A negated operator without a set operator is for keys with one value; with several, none may be among the wanted.
    return all(map(fits, found)) if quantifier == FOR_ALL or (is_negated and not quantifier) else any(map(fits, found))


def _safely(test: Test, wanted: str, found: str, context: Context) -> bool:
    # What is no number, date or address equals none.
    with suppress(ValueError):
        return test(wanted, found, context)
    return False


def _equals(wanted: str, found: str, context: Context) -> bool:
    return fill_in(wanted, context) == found


def _equals_ignoring_case(wanted: str, found: str, context: Context) -> bool:
    value = fill_in(wanted, context)
    return value is not None and value.lower() == found.lower()


def _is_within(wanted: str, found: str, _context: Context) -> bool:
    return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)


def _moment(text: str) -> float:
    with suppress(ValueError):
        return float(text)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _compare(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Test:
    return lambda wanted, found, _context: compare(read(found), read(wanted))


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
TESTS: dict[str, Test] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignoring_case,
    "StringLike": matches,
    "ArnEquals": matches_arn,
    "ArnLike": matches_arn,
    "Bool": _equals_ignoring_case,
    "BinaryEquals": _equals,
    "IpAddress": _is_within,
    **{f"Numeric{name}": _compare(float, compare) for name, compare in COMPARISONS.items()},
    **{f"Date{name}": _compare(_moment, compare) for name, compare in COMPARISONS.items()},
}
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
"""Operators that hold where the other one does not."""
