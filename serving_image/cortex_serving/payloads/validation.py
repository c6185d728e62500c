"""Payloads with a type hint: ``predict(self, payload: Model)`` gets a validated ``Model``, or the client gets a 422.

Only hints that describe a structure (pydantic models, dataclasses, typed dicts, named tuples, also in lists and unions)
are enforced: a plain ``dict`` or ``bytes`` was always just a note to the reader in Cortex, and stays that.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from cortex_serving.errors import PredictorError
from cortex_serving.payloads.forms import FormData
from cortex_serving.payloads.typed_forms import FormFields

_REFERENCE = "#/components/schemas/{model}"
_IS_JSON = {
    "field": "(payload)",
    "problem": "It looks like JSON, but came as a form: send it with the header Content-Type: application/json",
}
_DECIMAL = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_STREAMED = (collections.abc.Iterator, collections.abc.Generator, collections.abc.Iterable)


class InvalidPayload(Exception):
    """The payload does not fit its type hint; ``problems`` names each wrong field."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__("the payload does not have the form that the API expects")
        self.problems = problems

    def __str__(self) -> str:
        """What is wrong, for the log: the sample request may not fit."""
        wrong = "; ".join(f"{problem['field']}: {problem['problem']}" for problem in self.problems)
        return f"{self.args[0]}: {wrong}"


class PayloadType:
    """A payload's type hint that is enforced.

    Attributes:
        schema: Its JSON schema, for descriptions.
    """

    def __init__(self, hint: Any) -> None:
        import pydantic  # only where a hint asks for it: it costs memory and start-up time

        try:
            self._adapter: Any = pydantic.TypeAdapter(hint)
            self.schema: dict[str, Any] = self._adapter.json_schema(
                ref_template=_REFERENCE, schema_generator=_schema_generator()
            )
        except pydantic.errors.PydanticUserError as error:
            raise PredictorError(f"the type hint of payload cannot be validated: {error}") from None
        self._error: type[Exception] = pydantic.ValidationError

    @functools.cached_property
    def form(self) -> FormFields:
        """How it is read from forms."""
        return FormFields(self.schema)

    def validate_form(self, form: FormData) -> Any:
        """A form as the hinted type: text is converted where it can be.

        Raises:
            InvalidPayload: It does not fit.
        """
        first = next(iter(form), "")
        if first.startswith(("{", "[")) and not self.form.has(first):  # what curl -d sends without a header
            raise InvalidPayload([_IS_JSON])
        try:
            return self._adapter.validate_python(self.form.value(form), strict=False)  # it is all text
        except self._error as error:
            raise InvalidPayload(_problems(error)) from error

    def validate(self, value: Any) -> Any:
        """A value of JSON as the hinted type.

        Raises:
            InvalidPayload: It does not fit.
        """
        try:
            return self._adapter.validate_python(value)
        except self._error as error:
            return self._as_json(value, error)

    def _as_json(self, value: Any, error: Exception) -> Any:
        """Strict types take dates, enums or tuples only if they are told that it was JSON, which has none of them."""
        with contextlib.suppress(orjson.JSONEncodeError):  # it is nested too deeply, as it may be for pydantic
            try:
                return self._adapter.validate_json(orjson.dumps(value))
            except self._error as again:
                error = error if _problems(again)[0]["problem"].startswith("Invalid JSON") else again
        raise InvalidPayload(_problems(error)) from error


def _schema_generator() -> type:
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """Says that integers have 64 bits: larger ones in JSON are read as floats. What has no schema is left open.

        Text for a decimal is not any text, which is all that pydantic says.
        """

        def int_schema(self, schema: Any) -> dict[str, Any]:
            return {**super().int_schema(schema), "format": "int64"}

        def decimal_schema(self, schema: Any) -> dict[str, Any]:
            made = super().decimal_schema(schema)
            for part in made.get("anyOf", ()):
                if part.get("type") == "string":
                    part.setdefault("pattern", _DECIMAL)
            return made

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
            return {}

    return Generator


def _problems(error: Any) -> list[dict[str, Any]]:
    return [
        {"field": ".".join(str(part) for part in problem["loc"]) or "(payload)", "problem": problem["msg"]}
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def payload_type(predict: Callable[..., Any], *, batched: bool) -> PayloadType | None:
    """The enforced type of one payload; None where the hint is missing or a plain type.

    Args:
        predict: The predictor's method.
        batched: Whether the method takes a list of payloads: then the hint of its items counts.

    Raises:
        PredictorError: The hint names something that does not exist.
    """
    try:
        hint = _hint(predict, "payload", batched=batched)
    except Exception as error:  # hints are evaluated: anything can happen
        raise PredictorError(f"the type hint of payload cannot be read: {error}") from None
    if typing.get_origin(hint) in _STREAMED:  # pydantic would check each item only when predict comes to it
        hint = types.GenericAlias(list, typing.get_args(hint)[:1])
    return PayloadType(hint) if _structured(hint) else None


def result_schema(predict: Callable[..., Any], *, batched: bool, taken: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON schema of one returned value; None where the hint is missing, plain, or cannot be described.

    Results are not checked against their hint: it only goes into descriptions.

    Args:
        predict: The predictor's method.
        batched: Whether the method returns a list of values: then the hint of its items counts.
        taken: Names of definitions that exist already; if the result's differ, all of the result's get other names.
    """
    try:
        hint = _without_errors(_hint(predict, "return", batched=batched))
    except Exception:  # hints are evaluated: anything can happen, and nothing depends on this one
        return None
    if typing.get_origin(hint) in _STREAMED or not _structured(hint):
        return None
    import pydantic

    def schema(template: str) -> dict[str, Any]:
        adapter = pydantic.TypeAdapter(hint)
        made: dict[str, Any] = adapter.json_schema(
            by_alias=False, mode="serialization", ref_template=template, schema_generator=_schema_generator()
        )
        return made

    try:
        made = schema(_REFERENCE)
        if any(taken.get(name, of) != of for name, of in made.get("$defs", {}).items()):
            made = schema(f"{_REFERENCE}-Output")
            made["$defs"] = {f"{name}-Output": of for name, of in made["$defs"].items()}
    except pydantic.errors.PydanticUserError:
        return None
    return made


def _hint(method: Callable[..., Any], name: str, *, batched: bool) -> Any:
    """One hint, whatever the others are: a name that only type checkers import is no mistake elsewhere.

    With batches it is that of an item.
    """
    hints = getattr(method, "__annotations__", {})
    if name not in hints:
        return None
    alone = types.SimpleNamespace(__annotations__={name: hints[name]})
    names = getattr(inspect.unwrap(method), "__globals__", {})
    hint = typing.get_type_hints(alone, globalns=names, include_extras=True)[name]
    if batched and typing.get_origin(hint) is typing.Annotated:  # of the list, whose length is not the client's matter
        hint = typing.get_args(hint)[0]
    if batched and typing.get_origin(hint) is not None:
        return next(iter(typing.get_args(hint)), None)
    return hint


def _without_errors(hint: Any) -> Any:
    """A union without the exceptions that an item of a batch may be."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    parts = [part for part in typing.get_args(hint) if not (isinstance(part, type) and issubclass(part, BaseException))]
    return functools.reduce(operator.or_, parts) if parts else None


def _structured(hint: Any, aliases: frozenset[str] = frozenset()) -> bool:
    if any(_structured(part, aliases) for part in typing.get_args(hint)):
        return True
    if hasattr(hint, "__value__") and hint.__name__ not in aliases:  # type X = ..., which may name itself
        return _structured(hint.__value__, aliases | {hint.__name__})
    if hasattr(hint, "__supertype__"):  # a typing.NewType
        return _structured(hint.__supertype__, aliases)
    hint = typing.get_origin(hint) or hint  # of what is generic: Page[int] is no class, but Page is
    # typing.is_typeddict knows only those of typing, and pydantic wants those of typing_extensions before Python 3.12.
    return isinstance(hint, type) and (
        dataclasses.is_dataclass(hint)
        or any(hasattr(hint, mark) for mark in ("__total__", "model_validate"))
        or (issubclass(hint, tuple) and hasattr(hint, "_fields"))
    )
