"""The WSGI application: Falcon in front of one predictor."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import falcon

from cortex_serving.access.origins import Origins
from cortex_serving.api.error_responses import RETRY_AFTER_SECONDS, error_event, unavailable, write_error
from cortex_serving.api.openapi import Description
from cortex_serving.api.streamed_bodies import StreamCut, labelled
from cortex_serving.contract import (
    API_HEADER,
    FORWARDED_METRIC,
    LIVE_PATH,
    PROBE_PATHS,
    READY_PATH,
    REQUEST_ID_HEADER,
    REVISION_HEADER,
    TIMEOUT_HEADER,
)
from cortex_serving.errors import UnsupportedResult
from cortex_serving.logs.capture import LineWriter, current
from cortex_serving.metrics.telemetry import CLIENT_CLOSED_REQUEST, Telemetry
from cortex_serving.payloads import request_data
from cortex_serving.payloads.read import read_payload
from cortex_serving.payloads.validation import PayloadType
from cortex_serving.predictors.invoke import Batched, Invoke
from cortex_serving.predictors.predictor import ONE_STREAM, Predictor, user_traceback
from cortex_serving.request_context import KEY, Exchange, Verdict
from cortex_serving.results.render import dump_json, render
from cortex_serving.results.streams import EVENT_STREAM
from cortex_serving.scheduling.admission import Admitted
from cortex_serving.scheduling.batching import BatchFailed, Expired
from cortex_serving.scheduling.thread_pool import Job
from cortex_serving.shared_state import Board
from cortex_serving.spec import ApiSpec

_EXPIRED = f"the request waited longer than its {TIMEOUT_HEADER}"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=;-]{1,200}")


@dataclass
class Serving:
    """A predictor in service, and everything around it that requests need.

    Attributes:
        predictor: The predictor.
        invoke: Calls ``predict`` for one request.
        batched: Calls ``predict`` for many requests at once; None without server-side batching.
        expected: Type of payloads; None if the predictor has no type hint that is enforced.
        observe: Gets every predicted value; None without prediction monitoring.
        after: Queues work for the predictor's threads, behind the response.
        streams_told: Whether nobody need be told that one stream at a time is sent.
        project: The project folder. Tracebacks show frames of this folder only.
        description: Answers GET.
    """

    predictor: Predictor
    invoke: Invoke
    batched: Batched | None
    expected: PayloadType | None
    observe: Callable[[Any], None] | None
    after: Callable[..., None]
    project: Path
    description: Description
    streams_told: bool


class RequestIds:
    """Chooses the id of a request: the client's, the load balancer's, or a new one."""

    def __init__(self) -> None:
        self._prefix = os.urandom(6).hex()
        self._next = itertools.count().__next__

    def of(self, given: str | None) -> str:
        """Return the id of a request, given what its client or the load balancer calls it."""
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given
        return f"{self._prefix}-{self._next():x}"


class Application:
    """Answers every path: health probes, a description on GET, a prediction on POST.

    Args:
        spec: The API.
        revision: The deployed version of the API.
        board: State of the replica, shared by its processes.
        writer: Writes log lines.
        telemetry: Counts requests.
        origins: The origins of the web pages that may use the API.

    Attributes:
        serving: The predictor; None until it is built. Requests are admitted only after that.
    """

    def __init__(
        self,
        spec: ApiSpec,
        revision: str,
        board: Board,
        writer: LineWriter,
        telemetry: Telemetry,
        *,
        origins: Origins,
    ) -> None:
        self._spec = spec
        self._limits = spec.limits
        self._board = board
        self._writer = writer
        self._telemetry = telemetry
        self._origins = origins
        self._ids = RequestIds()
        self._headers = ((API_HEADER, spec.name), (REVISION_HEADER, revision))
        self._wsgi = _falcon_app(self)
        self._falcon_request = partial(falcon.Request, options=self._wsgi.req_options)
        self.serving: Serving | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request (WSGI, PEP 3333)."""
        exchange: Exchange = environ[KEY]
        if exchange.outcome is None:
            exchange.queue = time.perf_counter() - exchange.arrived
        exchange.method, exchange.path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        current.request_id = self._identify(exchange, environ)

        def begin(line: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            exchange.status = int(line[:3])
            own = ((REQUEST_ID_HEADER, exchange.request_id), ("Server-Timing", exchange.server_timing()))
            headers += self._headers + own
            return start_response(line, headers, *failure)

        try:
            body: Iterable[bytes] = self._wsgi(environ, begin)
        finally:
            current.request_id = None
        if exchange.streaming:
            return self._streamed(body, exchange)
        if exchange.path not in PROBE_PATHS:
            self._finished(exchange)
        return body

    def enlist(self, admitted: Admitted) -> None:
        """Read the payload of a request, and put it into a batch.

        Args:
            admitted: The request, with its WSGI environment.
        """
        environ, serving = admitted.environ, self.serving
        assert environ is not None and serving is not None and serving.batched is not None
        current.request_id = self._identify(admitted, environ)  # a payload's own validators may log
        try:
            serving.batched.enlist(admitted, partial(self._read_anew, environ, serving))
        finally:
            current.request_id = None

    def abandoned(self, exchange: Exchange, request: Any) -> None:
        """Count a request that was dropped, as its client had gone.

        Args:
            exchange: The request on its way.
            request: The request, as waitress read it.
        """
        exchange.method, exchange.path = request.command, request.path
        exchange.status = CLIENT_CLOSED_REQUEST
        if not exchange.request_id:
            given = request.headers.get("X_REQUEST_ID") or request.headers.get("X_AMZN_TRACE_ID")
            exchange.request_id = self._ids.of(given)
        self._telemetry.finished(exchange)

    def _identify(self, exchange: Exchange, environ: Mapping[str, Any]) -> str:
        if not exchange.request_id:
            exchange.request_id = self._ids.of(environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_X_AMZN_TRACE_ID"))
        return exchange.request_id

    def _finished(self, exchange: Exchange) -> None:
        exchange.outcome = None  # frees the payload now: the request may be counted later
        if exchange.answered:
            return
        self._telemetry.finished(exchange)
        own = self._spec.endpoint
        if exchange.path != own and not exchange.path.startswith(f"{own}/") and exchange.refusal is None:
            # The listener rule of a traffic splitter sent the request here: it has the splitter's path.
            self._telemetry.counters.count(FORWARDED_METRIC)

    def _streamed(self, chunks: Iterable[bytes], exchange: Exchange) -> Iterator[bytes]:
        """Pass on a streamed body. An exception in the middle is logged, and is an event or cuts the connection."""
        try:
            yield from labelled(chunks, exchange.request_id)
        except GeneratorExit:  # the client has gone
            raise
        except BaseException as error:
            self._log_error(self._trace(error))
            exchange.status = 500
            if not exchange.events:
                raise StreamCut(f"the stream ended with {type(error).__name__}") from error
            yield error_event(error, exchange.request_id)
        finally:
            self._finished(exchange)
            current.request_id = None

    def serve(self, req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        """Answer one request (Falcon's sink)."""
        exchange = req.env[KEY]
        self._origins.write_headers(req, resp)
        if exchange.refusal is not None:
            raise exchange.refusal
        if req.method == "POST":
            try:
                self._predict(req, resp, exchange)
            except Exception:
                raise
            except BaseException as error:  # sys.exit, a cancelled task of asyncio: end the request, not the thread
                self.failed(req, resp, error, None)
        elif req.method in ("GET", "HEAD"):
            self._get(req, resp)
        elif req.method == "OPTIONS":
            resp.status = 204
            resp.set_header("Allow", "GET, POST, OPTIONS")
        else:
            raise falcon.HTTPMethodNotAllowed(["GET", "POST", "OPTIONS"])

    def _get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = "application/json"
        if req.path == LIVE_PATH:
            self._health(resp, live=True)
        elif req.path == READY_PATH:
            self._health(resp, live=False)
        elif self.serving is None:
            raise unavailable(self._not_ready())
        else:
            resp.data = dump_json(self._described(req.path, self.serving.description))

    def _described(self, path: str, description: Description) -> dict[str, Any]:
        """Describe the API where the request was sent.

        That may be a traffic splitter's endpoint, or one that the API has only had since this replica started.
        """
        own, document = self._spec.endpoint, "/openapi.json"
        path = path.rstrip("/")
        endpoint = path.removesuffix(document).rstrip("/")
        if endpoint.startswith(f"{own}/"):
            raise falcon.HTTPNotFound(description=f"there is nothing at {path}: GET {own} describes the API")
        shown = endpoint or "/"
        return description.summary(shown) if path == endpoint else description.openapi(shown)

    def _health(self, resp: falcon.Response, *, live: bool) -> None:
        good, report = self._board.health(live=live)
        resp.status = 200 if good else 503
        resp.data = dump_json(report)

    def _not_ready(self) -> str:
        return f"the API is not ready: {self._board.state.name.lower()}: {self._board.reason}"

    def _predict(self, req: falcon.Request, resp: falcon.Response, exchange: Exchange) -> None:
        serving = self.serving
        if serving is None or exchange.verdict is not Verdict.ADMITTED:
            raise self._refusal(exchange.verdict)
        if exchange.outcome is None:
            arguments = self._arguments(req, serving)
            value = serving.invoke(arguments, exchange)
        else:
            arguments = exchange.outcome.arguments
            value = exchange.outcome.result()
        value, callback = serving.predictor.take_apart(value)
        start = time.perf_counter()
        render(value, resp)
        exchange.encode = time.perf_counter() - start
        exchange.streaming = resp.stream is not None
        if exchange.streaming:
            exchange.events = (resp.content_type or "").lower().startswith(EVENT_STREAM)
            if not serving.streams_told:
                serving.streams_told = True
                self._writer.log("WARNING", ONE_STREAM)
        if serving.observe is not None:
            serving.observe(value)
        if serving.predictor.post_predict is not None:
            serving.after(Job(partial(self._post_predict, serving, req.env, value, arguments)))
        if callback is not None:
            serving.after(Job(partial(self._after_answer, "the callback", callback, req.env)))

    def _refusal(self, verdict: Verdict) -> falcon.HTTPError:
        if verdict is Verdict.OVER_LIMIT:
            limit = self._spec.max_replica_concurrency
            return unavailable(f"the replica already has {limit} requests in flight (max_replica_concurrency)")
        if verdict is Verdict.EXPIRED:
            return falcon.HTTPGatewayTimeout(description=_EXPIRED)
        return unavailable(self._not_ready())

    def _arguments(self, req: falcon.Request, serving: Serving) -> dict[str, Any]:
        wants = serving.predictor.wants
        arguments: dict[str, Any] = {}
        if "payload" in wants:
            arguments["payload"] = read_payload(req, self._limits, serving.expected, text=serving.predictor.is_handler)
        if "query_params" in wants:
            arguments["query_params"] = request_data.query_params(req.env)
        if "headers" in wants:
            arguments["headers"] = request_data.headers(req.env)
        if "batch_id" in wants:
            arguments["batch_id"] = None
        return arguments

    def _read_anew(self, environ: dict[str, Any], serving: Serving) -> dict[str, Any]:
        """Read a request from the beginning of its body."""
        environ["wsgi.input"].seek(0)
        return self._arguments(self._falcon_request(environ), serving)

    def _post_predict(self, serving: Serving, environ: dict[str, Any], value: Any, given: dict[str, Any]) -> None:
        """Call ``post_predict``; log its exceptions (cortex.md 1.1)."""
        wants = serving.predictor.post_wants or frozenset()
        arguments = {name: given[name] for name in wants if name in given}
        if "response" in wants:
            arguments["response"] = value
        for name in wants & {"query_params", "headers"} - arguments.keys():
            arguments[name] = getattr(request_data, name)(environ)
        assert serving.predictor.post_predict is not None
        self._after_answer("post_predict", partial(serving.predictor.post_predict, **arguments), environ)

    def _after_answer(self, what: str, call: Callable[[], Any], environ: dict[str, Any]) -> None:
        """Call a function of the user's for a request that is answered; log its exceptions."""
        current.request_id = environ[KEY].request_id
        try:
            call()
        except BaseException as error:
            self._log_error(f"{what} failed\n{self._trace(error)}")
        finally:
            current.request_id = None

    def failed(self, req: falcon.Request, resp: falcon.Response, error: BaseException, _: Any) -> None:
        """Answer a request whose handling raised an exception (Falcon's error handler)."""
        log = _ignore if isinstance(error, BatchFailed) else self._log_error
        outcome = req.env[KEY].outcome
        if outcome is not None and error is outcome.error:
            error.__traceback__ = outcome.traceback  # without this program's frames since the batch
        if isinstance(error, Expired):
            error = self._refusal(Verdict.EXPIRED)
        write_error(resp, error, req.env[KEY].request_id, log, self._trace)
        if resp.status_code == 503 and resp.get_header("Retry-After") is None:
            resp.set_header("Retry-After", RETRY_AFTER_SECONDS)

    def batch_failed(self, error: BaseException, exchanges: Sequence[Exchange], split: bool) -> None:
        """Log a batch that failed as a whole.

        Args:
            error: The exception that ``predict`` raised.
            exchanges: The requests.
            split: Whether each of them is predicted again, alone.
        """
        ids = [exchange.request_id for exchange in exchanges]
        message = f"a batch of {len(ids)} failed"
        if len(ids) > 1:
            message += f" (requests {', '.join(ids)})"
        else:
            current.request_id = ids[0]
        try:
            if isinstance(error, UnsupportedResult):
                self._log_error(f"{message}: {error}")
            elif split:
                self._writer.log("WARNING", f"{message}, each is predicted alone now\n{self._trace(error)}")
            else:
                self._log_error(f"{message}\n{self._trace(error)}")
        finally:
            current.request_id = None

    def _log_error(self, message: str) -> None:
        self._writer.log("ERROR", message)

    def _trace(self, error: BaseException) -> str:
        return user_traceback(error, self.serving.project if self.serving is not None else Path())


def _ignore(message: str) -> None:
    """Log nothing: the error was logged where it happened."""


def _falcon_app(application: Application) -> falcon.App[falcon.Request, falcon.Response]:
    app = falcon.App()
    app.resp_options.default_media_type = None  # type: ignore[assignment]  # a response without a type is not JSON
    app.add_sink(application.serve, re.compile(""))  # not "/", because of OPTIONS *
    for kind in (Exception, falcon.HTTPError, falcon.HTTPStatus):  # replaces Falcon's handlers of the latter two
        app.add_error_handler(kind, application.failed)
    return app
