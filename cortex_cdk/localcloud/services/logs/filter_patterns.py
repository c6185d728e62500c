"""Filter patterns of CloudWatch Logs: which events they match.

Source of the forms: "Filter pattern syntax" of the CloudWatch Logs guide. A pattern is one phrase in quotation marks,
or words that must all be in the event (``?word ?word``: any of them), or a condition on the fields of a JSON event::

    { ($.level = "ERROR") || ($.level = "CRIT*") && ($.ms > 100) }

Others are refused. moto would let them match everything (``moto.logs.utils.EventMessageFilter``), which is worse.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from fnmatch import translate
from functools import cache
from typing import Any

from moto.logs.exceptions import InvalidParameterException

QUOTE = '"'
Matches = Callable[[Any], bool]

_TOKENS = re.compile(
    r"""\s*(?:
        (?P<selector>\$(?:\.[A-Za-z0-9_-]+|\[\d+\])+)
        | (?P<operator>&&|\|\||!=|>=|<=|[=<>()])
        | "(?P<text>(?:[^"\\]|\\.)*)"
        | (?P<word>[A-Za-z0-9_.*+/:-]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NOTHING = object()
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None}


class EventFilter:
    """A filter pattern. moto makes one for each event.

    Args:
        pattern: The pattern. None, or an empty text, matches all events.

    Raises:
        InvalidParameterException: The pattern has another form.
    """

    def __init__(self, pattern: str | None) -> None:
        self._matches = _compiled((pattern or "").strip())

    def matches(self, message: str) -> bool:
        """Return whether a message matches."""
        return self._matches(message)


@cache
def _compiled(text: str) -> Callable[[str], bool]:
    if text.startswith("{") and text.endswith("}"):
        condition = _Parser(text).condition()

        def of_fields(message: str) -> bool:
            try:
                fields = json.loads(message)
            except ValueError:
                return False
            return isinstance(fields, dict) and condition(fields)

        return of_fields
    is_phrase = len(text) > 1 and text[0] == text[-1] == QUOTE
    terms = [text[1:-1]] if is_phrase else text.split()
    # With other words, CloudWatch ignores those with a question mark.
    is_choice = bool(terms) and not is_phrase and all(len(term) > 1 and term[0] == "?" for term in terms)
    terms = [term[1:] for term in terms] if is_choice else terms
    if text.startswith(("{", "[", "%")) or any(QUOTE in term or term[:1] in "-?" for term in terms):
        raise _refused(text)
    combined = any if is_choice else all
    return lambda message: combined(term in message for term in terms)


def _refused(pattern: str) -> InvalidParameterException:
    return InvalidParameterException(
        "Invalid filter pattern, or one that the local cloud does not know (it knows words, ?words, one phrase in "
        f"quotation marks, and conditions on JSON fields without regular expressions): {pattern}"
    )


class _Parser:
    """Reads a condition; ``&&`` binds closer than ``||``.

    Args:
        pattern: The whole pattern, in braces.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._tokens: list[tuple[str, str]] = []
        inside, at = pattern[1:-1].rstrip(), 0
        while at < len(inside):
            match = _TOKENS.match(inside, at)
            if match is None or match.lastgroup is None:
                raise _refused(pattern)
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self._tokens.reverse()

    def condition(self) -> Matches:
        """Read all of it."""
        found = self._any()
        if self._tokens:
            raise _refused(self._pattern)
        return found

    def _next(self, *kinds: str) -> tuple[str, str]:
        if not self._tokens or (kinds and self._tokens[-1][0] not in kinds):
            raise _refused(self._pattern)
        return self._tokens.pop()

    def _has(self, symbol: str) -> bool:
        if not self._tokens or self._tokens[-1] != ("operator", symbol):
            return False
        self._tokens.pop()
        return True

    def _any(self) -> Matches:
        parts = [self._all()]
        while self._has("||"):
            parts.append(self._all())
        return lambda fields: any(part(fields) for part in parts)

    def _all(self) -> Matches:
        parts = [self._one()]
        while self._has("&&"):
            parts.append(self._one())
        return lambda fields: all(part(fields) for part in parts)

    def _one(self) -> Matches:
        if self._has("("):
            inner = self._any()
            if not self._has(")"):
                raise _refused(self._pattern)
            return inner
        _, selector = self._next("selector")
        kind, what = self._next("operator", "word")
        return self._comparison(selector, what) if kind == "operator" else self._state(selector, what)

    def _state(self, selector: str, word: str) -> Matches:
        if word == "EXISTS":
            return lambda fields: _value(fields, selector) is not _NOTHING
        _, second = self._next("word")
        if (word, second) == ("NOT", "EXISTS"):
            return lambda fields: _value(fields, selector) is _NOTHING
        if word != "IS" or second not in _CONSTANTS:
            raise _refused(self._pattern)
        constant = _CONSTANTS[second]
        return lambda fields: _value(fields, selector) is constant

    def _comparison(self, selector: str, symbol: str) -> Matches:
        kind, wanted = self._next("text", "word")
        if symbol in ("=", "!="):
            is_equal = _equal_to(wanted, is_number=kind == "word")
            return lambda fields: _compare(_value(fields, selector), is_equal, positive=symbol == "=")
        number = _number(wanted) if kind == "word" else None
        if symbol not in _ORDER or number is None:
            raise _refused(self._pattern)
        holds = _ORDER[symbol]
        return lambda fields: _is_number(value := _value(fields, selector)) and holds(value, number)


def _compare(value: Any, is_equal: Matches, *, positive: bool) -> bool:
    """Compare a text or a number. A field that is missing, or holds something else, is neither equal nor different."""
    return (isinstance(value, str) or _is_number(value)) and is_equal(value) is positive


def _equal_to(wanted: str, *, is_number: bool) -> Matches:
    number = _number(wanted) if is_number else None
    if number is not None:
        return lambda value: bool(value == number)
    text = re.compile(translate(re.sub(r"\\(.)", r"\1", wanted).replace("[", "[[]").replace("?", "[?]")))
    return lambda value: isinstance(value, str) and text.match(value) is not None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(fields: Any, selector: str) -> Any:
    """The value of a field, or ``_NOTHING``."""
    for name, index in _STEP.findall(selector):
        if name and isinstance(fields, dict):
            fields = fields.get(name, _NOTHING)
        elif index and isinstance(fields, list) and int(index) < len(fields):
            fields = fields[int(index)]
        else:
            return _NOTHING
    return fields
