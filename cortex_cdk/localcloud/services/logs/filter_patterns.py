"""Filter patterns of CloudWatch Logs, of which moto knows single words only and takes all others to match everything.

Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail" of the
CloudWatch Logs guide. Regular expressions and patterns of space-delimited fields are refused.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from moto.logs.exceptions import InvalidParameterException

Test = Callable[[Any], bool]

TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')
TOKEN = re.compile(
    r"\s*(?:(?P<punctuation>&&|\|\||[()])|(?P<selector>\$[^\s=!<>()&|]*)|(?P<operator><=|>=|!=|=|<|>)"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s=!<>()&|"]+))'
)
STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\[["']([^"'\]]+)["']\]""")
ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MISSING = object()


class EventFilter:
    """A pattern, as moto asks it (``moto.logs.models.EventMessageFilter``)."""

    def __init__(self, pattern: str | None) -> None:
        self._matches = _compiled((pattern or "").strip())

    def matches(self, message: str) -> bool:
        """Whether an event with that message is wanted."""
        return self._matches(message)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Callable[[str], bool]:
    if pattern.startswith("{") and pattern.endswith("}"):
        test = _Conditions(pattern[1:-1]).whole()
        return lambda message: _of_document(test, message)
    if pattern.startswith(("{", "[", "%")):
        raise _refusal(pattern)
    return _of_terms(pattern)


def _refusal(pattern: str) -> InvalidParameterException:
    return InvalidParameterException(f"Invalid filter pattern, or one that the local cloud does not know: {pattern}")


def _of_terms(pattern: str) -> Callable[[str], bool]:
    terms = [(sign, re.sub(r"\\(.)", r"\1", quoted) or word) for sign, quoted, word in TERM.findall(pattern)]
    needed, excluded, optional = ([term for sign, term in terms if sign == kind] for kind in ("", "-", "?"))
    return lambda message: (
        all(term in message for term in needed)
        and not any(term in message for term in excluded)
        and (not optional or bool(needed) or any(term in message for term in optional))
    )


def _of_document(test: Test, message: str) -> bool:
    try:
        return test(json.loads(message))
    except ValueError:
        return False


class _Conditions:
    """Reads ``$.level = "ERROR" && ($.took > 5 || $.user NOT EXISTS)``; ``&&`` binds more tightly than ``||``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            token = TOKEN.match(text, at)
            if token is None or token.lastgroup is None:
                raise _refusal(text)
            self._tokens.append((token.lastgroup, token[token.lastgroup]))
            at = token.end()

    def whole(self) -> Test:
        test = self._any()
        if self._tokens:
            raise _refusal(self._text)
        return test

    def _any(self) -> Test:
        tests = [self._all()]
        while self._takes("||"):
            tests.append(self._all())
        return lambda document: any(test(document) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._takes("&&"):
            tests.append(self._one())
        return lambda document: all(test(document) for test in tests)

    def _one(self) -> Test:
        if self._takes("("):
            test = self._any()
            self._next("punctuation", ")")
            return test
        selector = self._next("selector")
        kind, text = self._tokens.pop(0) if self._tokens else ("", "")
        if kind == "word":
            check = _state(f"{text} {self._next('word')}".upper())
        else:
            value_kind, value = self._tokens.pop(0) if self._tokens else ("", "")
            if kind != "operator" or value_kind not in ("quoted", "word"):
                raise _refusal(self._text)
            check = _comparison(text, value, quoted=value_kind == "quoted")
        if check is None:
            raise _refusal(self._text)
        return lambda document: check(_selected(document, selector))

    def _takes(self, punctuation: str) -> bool:
        found = bool(self._tokens) and self._tokens[0] == ("punctuation", punctuation)
        if found:
            self._tokens.pop(0)
        return found

    def _next(self, kind: str, text: str | None = None) -> str:
        if not self._tokens or self._tokens[0][0] != kind or text not in (None, self._tokens[0][1]):
            raise _refusal(self._text)
        return self._tokens.pop(0)[1]


def _selected(document: Any, selector: str) -> Any:
    for name, index, quoted in STEP.findall(selector):
        try:
            document = document[int(index)] if index else document[name or quoted]
        except (LookupError, TypeError):
            return MISSING
    return document


def _state(words: str) -> Test | None:
    return {
        "IS NULL": lambda found: found is None,
        "IS TRUE": lambda found: found is True,
        "IS FALSE": lambda found: found is False,
        "NOT EXISTS": lambda found: found is MISSING,
    }.get(words)


def _comparison(sign: str, value: str, *, quoted: bool) -> Test | None:
    number = None if quoted else _number(value)
    if sign in ORDERS:
        order = ORDERS[sign]
        return None if number is None else lambda found: _is_number(found) and order(found, number)

    def equal(found: Any) -> bool:
        if number is not None and _is_number(found):
            return bool(found == number)
        return isinstance(found, str) and fnmatchcase(found, re.sub(r"([\[?])", r"[\1]", value))

    return equal if sign == "=" else lambda found: found is not MISSING and not equal(found)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)
