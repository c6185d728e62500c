"""Payloads with a type hint: ``predict(self, payload: Model)`` gets a validated ``Model``, or the client gets a 422.

Only hints that describe a structure (pydantic models, dataclasses, typed dicts, also in lists and unions) are enforced:
a plain ``dict`` or ``bytes`` was always just a note to the reader in Cortex, and stays that.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

from cortex_serving.errors import PredictorError


class InvalidPayload(Exception):
    """The payload does not fit its type hint; ``problems`` names each wrong field."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__("the payload does not have the form that the API expects")
        self.problems = problems


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
                ref_template="#/components/schemas/{model}", schema_generator=_schema_generator()
            )
        except pydantic.errors.PydanticUserError as error:
            raise PredictorError(f"the type hint of payload cannot be validated: {error}") from error
        self._error: type[Exception] = pydantic.ValidationError

    def validate(self, value: Any) -> Any:
        """The value as the hinted type.

        Raises:
            InvalidPayload: It does not fit.
        """
        try:
            return self._adapter.validate_python(value)
        except self._error as error:
            raise InvalidPayload(_problems(error)) from error


def _schema_generator() -> type:
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """Says that integers have 64 bits: larger ones in JSON are read as floats."""

        def int_schema(self, schema: Any) -> dict[str, Any]:
            return {**super().int_schema(schema), "format": "int64"}

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
        hint = typing.get_type_hints(predict).get("payload")
    except Exception as error:  # hints are evaluated: anything can happen
        raise PredictorError(f"the type hints of predict cannot be read: {error}") from error
    if batched and typing.get_origin(hint) is not None:
        hint = next(iter(typing.get_args(hint)), None)
    return PayloadType(hint) if _structured(hint) else None


def _structured(hint: Any) -> bool:
    if any(_structured(part) for part in typing.get_args(hint)):
        return True
    # typing.is_typeddict knows only those of typing, and pydantic wants those of typing_extensions before Python 3.12.
    return isinstance(hint, type) and (
        dataclasses.is_dataclass(hint) or hasattr(hint, "__total__") or hasattr(hint, "model_validate")
    )
