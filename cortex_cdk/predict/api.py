"""An API as an object: its fields are arguments of ``predict``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cortex_cdk.errors import PayloadError
from cortex_cdk.predict.answers import Answer, AsyncAnswer
from cortex_cdk.predict.call import Call
from cortex_cdk.predict.description import Description
from cortex_cdk.predict.values import NOTHING, Query, call_of, is_upload

if TYPE_CHECKING:
    from typing_extensions import Self

Sent = TypeVar("Sent")
"""What sending a request returns."""


def call_to(description: Description, value: Any, fields: Mapping[str, Any], options: Mapping[str, Any]) -> Call:
    """Make the request for a value, or for values by field, in the form that the API takes.

    Args:
        description: What the API takes.
        value: The payload, or ``NOTHING``.
        fields: Values by field. Of these two, one is given.
        options: Those of ``call_of``, such as the key.

    Raises:
        PayloadError: The fields are not those of the API's schema. Nothing was sent.
    """
    if value is not NOTHING and fields:
        raise PayloadError(f"{description.name} takes one value, or fields by name: not both")
    if value is NOTHING:
        description.check(fields)
        value = dict(fields)
    if isinstance(value, Mapping):
        names = {field.name for field in description.fields if field.is_file}
        files = {name: one for name, one in value.items() if name in names and is_upload(one)}
        if files or description.sends_form:
            return call_of(files=files, form={n: one for n, one in value.items() if n not in files}, **options)
    return call_of(value, **options)


class _Described(Generic[Sent]):
    """An API and what is known of it, whether requests are awaited or not."""

    def __init__(
        self, description: Description, endpoint: str, send: Callable[[Call], Sent], options: Mapping[str, Any]
    ) -> None:
        self.description = description
        self.endpoint = endpoint
        self._send = send
        self._options = options

        def stream(value: Any = NOTHING, /, **fields: Any) -> Sent:
            return send(call_to(description, value, fields, options))

        self.stream: Callable[..., Sent] = _documented(stream, description)

    def with_options(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        query: Query = (),
        key: str | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Return the same API, to which requests go with these.

        Args:
            headers: Further headers.
            query: Parameters of the URL.
            key: An API key; None takes ``CORTEX_API_KEY``.
            timeout: Seconds that the API may send nothing.
        """
        given = {"headers": headers, "query": query, "key": key, "timeout": timeout}
        options = {**self._options, **{name: value for name, value in given.items() if value}}
        return type(self)(self.description, self.endpoint, self._send, options)

    @property
    def name(self) -> str:
        """The API's name."""
        return self.description.name

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what it takes; empty where nothing is known."""
        return self.description.schema

    @property
    def example(self) -> Any:
        """A request that it takes, from the project's ``sample.json``; None where there is none."""
        return self.description.example

    @property
    def openapi(self) -> Mapping[str, Any]:
        """Its whole OpenAPI document."""
        return self.description.openapi

    def __repr__(self) -> str:
        return f"<API {self.name} at {self.endpoint}>\n{_documentation(self.description)}"


class Api(_Described[AbstractContextManager[Answer]]):
    """One API, with what it takes.

    ``predict(value)``, or ``predict(field=value, ...)``, returns the answer as a Python value; ``stream`` takes the
    same, and reads the answer while it comes. ``help(api.predict)`` shows the fields.

    Attributes:
        description: The fields, and all that the OpenAPI document says.
        endpoint: Its URL.
        predict: Sends a request.
        stream: Sends a request; a context manager with the ``Answer``.
    """

    def __init__(
        self,
        description: Description,
        endpoint: str,
        send: Callable[[Call], AbstractContextManager[Answer]],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(description, endpoint, send, options)

        def predict(value: Any = NOTHING, /, **fields: Any) -> Any:
            with self.stream(value, **fields) as answer:
                return answer.whole().value()

        self.predict: Callable[..., Any] = _documented(predict, description)


class AsyncApi(_Described[AbstractAsyncContextManager[AsyncAnswer]]):
    """One API, with what it takes, for ``await``: see ``Api``.

    Attributes:
        description: The fields, and all that the OpenAPI document says.
        endpoint: Its URL.
        predict: Sends a request; to be awaited.
        stream: Sends a request; an asynchronous context manager with the ``AsyncAnswer``.
    """

    def __init__(
        self,
        description: Description,
        endpoint: str,
        send: Callable[[Call], AbstractAsyncContextManager[AsyncAnswer]],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(description, endpoint, send, options)

        async def predict(value: Any = NOTHING, /, **fields: Any) -> Any:
            async with self.stream(value, **fields) as answer:
                return (await answer.whole()).value()

        self.predict: Callable[..., Awaitable[Any]] = _documented(predict, description)


def _documented(function: Any, description: Description) -> Any:
    """Give a function the API's fields as arguments, for ``help`` and the completion of notebooks."""
    fields = [field for field in description.fields if field.name.isidentifier()]
    value = inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY, default=None)
    named = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.required else field.default,
            annotation=field.type,
        )
        for field in fields
    ]
    more = inspect.Parameter("fields", inspect.Parameter.VAR_KEYWORD)
    function.__signature__ = inspect.Signature([value, *(named or [more])])
    function.__doc__ = f"Send a request to {description.name}.\n\n{_documentation(description)}"
    return function


def _documentation(description: Description) -> str:
    """What an API takes, in lines for people."""
    lines = list(description.table())
    if isinstance(description.example, dict) and all(map(str.isidentifier, description.example)):
        arguments = ", ".join(f"{name}={value!r}" for name, value in description.example.items())
        lines.append(f"example: predict({arguments})")
    elif description.example is not None:
        lines.append(f"example: predict({description.example!r})")
    return "\n".join(lines)
