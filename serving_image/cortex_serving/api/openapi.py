"""Describes the API: the answer to GET, and the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cortex_serving.contract import KEY_HEADER, REQUEST_ID_HEADER, SAMPLE_FILE, TIMEOUT_HEADER
from cortex_serving.payloads.validation import PayloadType
from cortex_serving.spec import ApiSpec

_ERRORS: dict[str, Any] = {
    "CortexError": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "request_id": {"type": "string"}},
    },
    "CortexProblems": {
        "type": "object",
        "required": ["error"],  # a predictor's own 422 names no fields
        "properties": {
            "error": {"type": "string"},
            "problems": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "problem"],
                    "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
                },
            },
        },
    },
}


def _failure(description: str, schema: str = "CortexError") -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


# A required body comes with this optional parameter: without one, openapi-python-client (0.29) writes a module that
# cannot be imported if the request has several content types. An optional body comes without the parameter:
# openapi-generator would make the parameter the first argument.
_REQUEST_ID: dict[str, Any] = {
    "name": REQUEST_ID_HEADER,
    "in": "header",
    "description": "Id of the request, for logs and the response",
    "schema": {"type": "string"},
}
_UNAUTHORIZED = {
    "401": _failure("The request has no key, or not one of the cluster's"),
    "403": _failure("The key was revoked, has expired, or is not for this API"),
}
_SCHEMES = {
    "bearerKey": {"type": "http", "scheme": "bearer", "description": "A key that `cortex key create` made"},
    "headerKey": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The same key"},
}
_FAILURES = {
    "400": _failure("The body does not match its content type"),
    "413": _failure("The body is too large"),
    "415": _failure("The body's content type or encoding is not supported"),
    "422": _failure("The payload does not have the expected form", "CortexProblems"),
    "500": _failure("The predictor failed; the logs say why, under the id of the request"),
    "503": _failure("Too many requests at once, or the API is not ready"),
    "504": _failure(f"The request waited longer than {TIMEOUT_HEADER}"),
}


def read_sample(project: Path, name: str = SAMPLE_FILE) -> Any:
    """Read the project's sample request.

    Args:
        project: The project folder.
        name: Path of a JSON file in the project.

    Returns:
        The payload; None for a project without ``SAMPLE_FILE``.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not JSON, or nested too deeply.
    """
    path = project / name
    if name == SAMPLE_FILE and not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


class Description:
    """Describes one API.

    Args:
        spec: The API.
        revision: The deployed version of the API.
        expected: Type of payloads, or None.
        sample: A sample payload, or None.
        result: Returns the JSON schema of results, with definitions under ``$defs``, or None. Called on request only,
            because a schema costs time and memory.
        metadata: Returns further fields for the answer to GET, such as the models' signatures.
    """

    def __init__(
        self,
        spec: ApiSpec,
        revision: str,
        expected: PayloadType | None,
        sample: Any,
        *,
        result: Callable[[], dict[str, Any] | None],
        metadata: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._spec = spec
        self._revision = revision
        self._expected = expected
        self._result = result
        self._sample = sample
        self._metadata = metadata

    def summary(self, endpoint: str) -> dict[str, Any]:
        """Return the answer to GET on a path that leads to the API."""
        answer: dict[str, Any] = {
            "message": f"make a prediction by sending a POST request to {endpoint}",
            "api": self._spec.name,
            "revision": self._revision,
        }
        if self._sample is not None:
            answer["sample"] = self._sample
        return {**answer, **self._metadata()}

    def openapi(self, endpoint: str) -> dict[str, Any]:
        """Return an OpenAPI 3.1 document of a path to the API, made from type hints and the sample request."""
        schema, definitions = self._payload_schema()
        result = dict(self._result() or {})
        definitions = {**definitions, **result.pop("$defs", {})}
        post = {
            "operationId": "predict",
            "summary": "Make a prediction",
            "parameters": [_REQUEST_ID] if self._expected is not None else [],
            "requestBody": {"required": self._expected is not None, "content": self._contents(schema)},
            "responses": {
                "200": {
                    "description": "The prediction",
                    "content": {"application/json": {"schema": result}} if result else {"*/*": {}},
                },
                **(_UNAUTHORIZED if self._spec.asks_for_key else {}),
                **_FAILURES,
                "default": {"description": "The predictor's own errors"},
            },
        }
        get = {
            "operationId": "describe",
            "summary": "What this API does",
            "responses": {"200": {"description": "A description", "content": {"application/json": {}}}},
        }
        components: dict[str, Any] = {"schemas": {**definitions, **_ERRORS}}
        security: dict[str, Any] = {}
        if self._spec.asks_for_key:
            components["securitySchemes"] = _SCHEMES
            security["security"] = [{name: []} for name in _SCHEMES]
        return {
            "openapi": "3.1.0",
            "info": {"title": self._spec.name, "version": self._revision or "none"},
            **security,
            "paths": {endpoint: {"get": get, "post": post}},
            "components": components,
        }

    def _contents(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return schema and example of the payload, by content type."""
        example = {} if self._sample is None else {"example": self._sample}
        if self._expected is None:
            return {"application/json": {"schema": schema, **example}}
        return {
            media_type: {"schema": of, **(example if media_type == "application/json" else {})}
            for media_type, of in self._expected.described().items()
        }

    def _payload_schema(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._expected is None:
            return ({} if self._sample is None else _schema_of(self._sample)), {}
        schema = dict(self._expected.schema)
        return schema, schema.pop("$defs", {})


def _schema_of(sample: Any) -> dict[str, Any]:
    """Return a schema that the sample fits, for APIs without type hints."""
    if isinstance(sample, dict):
        return {"type": "object", "properties": {name: _schema_of(value) for name, value in sample.items()}}
    if isinstance(sample, list):
        return {"type": "array", **({"items": _schema_of(sample[0])} if sample else {})}
    for kind, name in ((bool, "boolean"), (int, "number"), (float, "number"), (str, "string")):
        if isinstance(sample, kind):
            return {"type": name}
    return {}
