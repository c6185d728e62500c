"""The WSGI application: Falcon in front of one predictor."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import falcon
import orjson

from cortex_serving import request_data
from cortex_serving.board import Board, Slot, State
from cortex_serving.dispatcher import Dispatcher, Job, Verdict
from cortex_serving.logs.capture import LineWriter, current
from cortex_serving.payload import read_payload
from cortex_serving.predictor import Predictor, user_traceback
from cortex_serving.response import UnsupportedResult, dump_json, render
from cortex_serving.spec import ApiSpec

RETRY_AFTER_SECONDS = "1"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=;-]{1,200}")


@dataclass(frozen=True)
class Identity:
    """Who answers: the API and its revision."""

    api: str
    revision: str


class RequestIds:
    """Ids for requests: the client's own, the load balancer's, or a new one that is unique to this process."""

    def __init__(self) -> None:
        self._prefix = os.urandom(6).hex()
        self._next = itertools.count().__next__

    def of(self, environ: Mapping[str, Any]) -> str:
        """The id of a request."""
        given = environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_X_AMZN_TRACE_ID")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return str(given)
        return f"{self._prefix}-{self._next():x}"


class Application:
    """Answers every path: health, a description on GET, a prediction on POST.

    Attributes:
        predictor: The predictor once it is built; requests are admitted only then.
        project: The project folder, whose frames matter in tracebacks.
    """

    def __init__(self, spec: ApiSpec, identity: Identity, board: Board, slot: Slot, writer: LineWriter) -> None:
        self._spec = spec
        self._identity = identity
        self._board = board
        self._slot = slot
        self._writer = writer
        self._ids = RequestIds()
        self._wsgi = _falcon_app(self)
        self.project = Path()
        self.predictor: Predictor | None = None
        self.dispatcher: Dispatcher | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a WSGI request."""
        current.request_id = environ["cortex.id"] = self._ids.of(environ)
        try:
            return self._wsgi(environ, start_response)
        finally:
            current.request_id = None

    def serve(self, req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        """Answer one request (Falcon's sink)."""
        resp.set_header("X-Cortex-Api", self._identity.api)
        resp.set_header("X-Cortex-Revision", self._identity.revision)
        resp.set_header("X-Request-Id", req.env["cortex.id"])
        if req.method == "POST":
            self._predict(req, resp)
        elif req.method in ("GET", "HEAD"):
            self._get(req, resp)
        else:
            raise falcon.HTTPMethodNotAllowed(["GET", "POST"])

    def _get(self, request: falcon.Request, response: falcon.Response) -> None:
        if request.path == "/healthz":
            self._health(response, alive=self._board.state is not State.FAILED)
        elif request.path == "/readyz":
            self._health(response, alive=self._board.state is State.READY)
        else:
            response.data = dump_json(self._describe())

    def _health(self, response: falcon.Response, *, alive: bool) -> None:
        state = self._board.state
        response.status = 200 if alive else 503
        response.data = dump_json(
            {
                "state": state.name.lower(),
                "reason": self._board.reason,
                "workers": [slot.state.name.lower() for slot in self._board.slots()],
                "restarts": self._board.restarts,
                "in_flight": self._board.in_flight(),
            }
        )

    def _describe(self) -> dict[str, Any]:
        message = f"make a prediction by sending a POST request to {self._spec.endpoint}"
        return {"message": message, "api": self._identity.api, "revision": self._identity.revision}

    def _predict(self, request: falcon.Request, response: falcon.Response) -> None:
        verdict = request.env["cortex.ticket"].verdict
        predictor = self.predictor
        if verdict is Verdict.OVER_LIMIT:
            limit = self._spec.max_replica_concurrency
            raise _unavailable(f"the replica already has {limit} requests in flight (max_replica_concurrency)")
        if verdict is Verdict.EXPIRED:
            raise falcon.HTTPGatewayTimeout(description="the request waited longer than its X-Cortex-Timeout-Ms")
        if verdict is Verdict.NOT_READY or predictor is None:
            raise _unavailable(f"the API is not ready: {self._board.state.name.lower()}: {self._board.reason}")
        arguments = self._arguments(request, predictor.wants)
        value = predictor.predict(**arguments)
        render(value, response)
        if predictor.post_predict is not None:
            self._post_predict(predictor, request, value, arguments)

    def _arguments(self, request: falcon.Request, wants: frozenset[str]) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if "payload" in wants:
            arguments["payload"] = read_payload(request)
        if "query_params" in wants:
            arguments["query_params"] = request_data.query_params(request.env)
        if "headers" in wants:
            arguments["headers"] = request_data.headers(request.env)
        if "batch_id" in wants:
            arguments["batch_id"] = None
        return arguments

    def _post_predict(
        self, predictor: Predictor, request: falcon.Request, value: Any, given: Mapping[str, Any]
    ) -> None:
        """Queue ``post_predict`` behind this response, in the predictor's own threads."""
        wants = predictor.post_wants or frozenset()
        arguments = {name: given[name] for name in wants if name in given}
        if "response" in wants:
            arguments["response"] = value
        for name in ("query_params", "headers"):
            if name in wants and name not in arguments:
                arguments[name] = getattr(request_data, name)(request.env)
        request_id = request.env["cortex.id"]

        def run() -> None:
            current.request_id = request_id
            try:
                if predictor.post_predict is not None:
                    predictor.post_predict(**arguments)
            except Exception as error:
                self._writer.log("ERROR", f"post_predict failed\n{user_traceback(error, self.project)}")
            finally:
                current.request_id = None

        if self.dispatcher is not None:
            self.dispatcher.predict.put(Job(run))

    def failed(self, request: falcon.Request, response: falcon.Response, error: Exception, _: Any) -> None:
        """Answer what the predictor raised (Falcon's error handler)."""
        if hasattr(error, "status_code") and hasattr(error, "detail"):  # starlette's and FastAPI's HTTPException
            response.status = int(error.status_code)
            response.content_type = "text/plain; charset=utf-8"
            response.data = str(error.detail).encode()
            return
        if isinstance(error, UnsupportedResult):
            self._writer.log("ERROR", str(error))
        else:
            self._writer.log("ERROR", user_traceback(error, self.project))
        response.status = 500
        response.content_type = "text/plain; charset=utf-8"
        response.data = b"internal server error"


def _unavailable(reason: str) -> falcon.HTTPServiceUnavailable:
    return falcon.HTTPServiceUnavailable(description=reason, headers={"Retry-After": RETRY_AFTER_SECONDS})


def _falcon_app(application: Application) -> Any:
    app = falcon.App()
    app.add_sink(application.serve, "/")
    app.add_error_handler(Exception, application.failed)
    app.add_error_handler(falcon.HTTPError, _http_error)
    return app


def _http_error(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: Any) -> None:
    response.status = error.status
    if error.headers:
        response.set_headers(error.headers)
    response.content_type = "application/json"
    response.data = orjson.dumps({"error": error.description or error.title})
