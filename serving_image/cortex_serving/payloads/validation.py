"""Validates payloads by their type hint: ``predict(self, payload: Model)`` gets a ``Model``, or the client gets a 422.

Only hints that describe a structure are enforced: pydantic models, dataclasses, typed dicts, named tuples, also in
lists and unions. A plain ``dict`` or ``bytes`` is not enforced, because in Cortex hints were notes for readers only.
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
from cortex_serving.payloads.forms import FormData, UploadFile
from cortex_serving.payloads.problems import best_fitting
from cortex_serving.payloads.typed_forms import MULTIPART, FormFields
from cortex_serving.payloads.value_memory import ValueMemory

_REFERENCE = "#/components/schemas/{model}"
_IS_JSON = {
    "field": "(payload)",
    "problem": "It looks like JSON, but came as a form: send it with the header Content-Type: application/json",
}
_MOST_PROBLEMS = 1000  # that are told one by one
_DECIMAL = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_STREAMED = (collections.abc.Iterator, collections.abc.Generator, collections.abc.Iterable)


class InvalidPayload(Exception):
    """The payload does not fit its type hint.

    Attributes:
        problems: One dict for each wrong field: ``field`` and ``problem``.
    """

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__("the payload does not have the form that the API expects")
        self.problems = problems

    def __str__(self) -> str:
        """Word the problems for the log: the project's own sample request may not fit."""
        wrong = "; ".join(f"{problem['field']}: {problem['problem']}" for problem in self.problems)
        return f"{self.args[0]}: {wrong}"


class PayloadType:
    """A payload's type hint that is enforced.

    Args:
        hint: The type hint.

    Attributes:
        schema: The type's JSON schema, for OpenAPI.

    Raises:
        PredictorError: pydantic cannot validate such a type.
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
        """Converts forms into values of this type."""
        return FormFields(self.schema)

    @property
    def takes_file(self) -> bool:
        """Whether a body that is neither JSON nor a form may be the payload, or the payload's only field."""
        return self.form.is_file or self.form.file_field is not None

    def validate_file(self, file: UploadFile, memory: ValueMemory) -> Any:
        """Validate a body that is a file, for a type that takes one.

        Args:
            file: The file.
            memory: For values of JSON in the file.

        Raises:
            InvalidPayload: The file does not fit the type.
        """
        if self.form.is_file:
            return file
        assert self.form.file_field is not None
        return self.validate_form(FormData([(self.form.file_field, file)]), memory)

    def validate_form(self, form: FormData, memory: ValueMemory) -> Any:
        """Validate a form; text is converted to numbers, dates and booleans.

        Args:
            form: The form.
            memory: For values of JSON in its fields.

        Raises:
            InvalidPayload: The form does not fit the type.
        """
        if self.form.is_file:
            files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            if len(files) == 1:
                return files[0]
            raise InvalidPayload([{"field": "(payload)", "problem": f"Send one file, not {len(files)}"}])
        first = next(iter(form), "")
        if first.startswith(("{", "[")) and not self.form.has(first):  # what curl -d sends without a header
            raise InvalidPayload([_IS_JSON])
        value = self.form.value(form, memory)
        try:
            return self._adapter.validate_python(value, strict=False)  # it is all text
        except self._error as error:
            raise InvalidPayload(self._problems(error, value)) from error

    def described(self) -> dict[str, dict[str, Any]]:
        """Return the JSON schema of the payload by content type, for OpenAPI, without definitions."""
        schema = {name: of for name, of in self.schema.items() if name != "$defs"}
        file = {"application/octet-stream": {"type": "string", "format": "binary"}}
        if self.form.is_file:
            return file | {MULTIPART: {"type": "object", "properties": {"file": schema}, "required": ["file"]}}
        media_types, form_schema = self.form.described()
        json_schema = self.form.as_json(schema)
        contents = {} if json_schema is None else {"application/json": json_schema}
        return contents | dict.fromkeys(media_types, form_schema) | (file if self.takes_file else {})

    def validate(self, value: Any) -> Any:
        """Validate the value of a JSON body.

        Raises:
            InvalidPayload: The value does not fit the type.
        """
        try:
            return self._adapter.validate_python(value)
        except self._error as error:
            return self._as_json(value, error)

    def _as_json(self, value: Any, error: Exception) -> Any:
        """Validate as JSON text: strict types accept dates, enums and tuples, which JSON does not have, only then."""
        with contextlib.suppress(orjson.JSONEncodeError):  # the value is nested too deeply
            try:
                return self._adapter.validate_json(orjson.dumps(value))
            except self._error as again:
                invalid = _count(again) == 1 and _errors(again)[0]["msg"].startswith("Invalid JSON")
                error = error if invalid else again
        raise InvalidPayload(self._problems(error, value)) from error

    def _problems(self, error: Exception, value: Any) -> list[dict[str, Any]]:
        if (count := _count(error)) > _MOST_PROBLEMS:  # a kilobyte each, and nobody reads so many
            return [{"field": "(payload)", "problem": f"{count} values do not fit: send fewer, to learn which"}]
        return [
            {"field": ".".join(map(str, problem["loc"])) or "(payload)", "problem": problem["msg"]}
            for problem in best_fitting(_errors(error), value, self.schema)
        ]


def _schema_generator() -> type:
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """Adds what pydantic leaves out: integers have 64 bits (larger ones in JSON are read as floats), and the text
        of a decimal has a pattern. Types without a schema accept any value."""

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


def _count(error: Any) -> int:
    return int(error.error_count())


def _errors(error: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = error.errors(include_url=False, include_context=False, include_input=False)
    return found


def payload_type(predict: Callable[..., Any], *, batched: bool) -> PayloadType | None:
    """Return the type of one payload that is enforced; None if the hint is missing or a plain type.

    Args:
        predict: The predictor's method.
        batched: Whether the method takes a list of payloads: then the hint of the list's items counts.

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
    """Return the JSON schema of one returned value; None if the hint is missing, plain, or has no schema.

    The hint is not enforced on results: it only goes into OpenAPI.

    Args:
        predict: The predictor's method.
        batched: Whether the method returns a list of values: then the hint of the list's items counts.
        taken: Definitions that exist already, by name. If one differs from the result's definition of that name, all of
            the result's definitions get other names.
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
            by_alias=True, mode="serialization", ref_template=template, schema_generator=_schema_generator()
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
    """Evaluate one hint of a method and no others: they may use names that only type checkers import.

    With batches, return the hint of the list's items.
    """
    hints = getattr(method, "__annotations__", {})
    if name not in hints:
        return None
    alone = types.SimpleNamespace(__annotations__={name: hints[name]})
    names = getattr(inspect.unwrap(method), "__globals__", {})
    hint = typing.get_type_hints(alone, globalns=names, include_extras=True)[name]
    if batched and typing.get_origin(hint) is typing.Annotated:  # constraints of the list do not concern the client
        hint = typing.get_args(hint)[0]
    if batched and typing.get_origin(hint) is not None:
        return next(iter(typing.get_args(hint)), None)
    return hint


def _without_errors(hint: Any) -> Any:
    """Return a union without its exceptions: ``predict`` may return them for items of a batch."""
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
    hint = typing.get_origin(hint) or hint  # Page[int] is no class, but Page is
    # typing.is_typeddict does not know typing_extensions.TypedDict, which pydantic needs before Python 3.12.
    return isinstance(hint, type) and (
        hint is UploadFile
        or dataclasses.is_dataclass(hint)
        or any(hasattr(hint, mark) for mark in ("__total__", "model_validate"))
        or (issubclass(hint, tuple) and hasattr(hint, "_fields"))
    )
