"""The warm-up: a project's sample request goes through the predictor before the replica is ready.

A predictor that fails on its own sample is not ready: an update would replace what works by code whose every answer is
an error. A sample has a payload only. Where ``predict`` asks for a query parameter or header, and cannot go on without,
the sample says nothing about the code, and the replica serves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn

import falcon

from cortex_serving.api.app import Serving
from cortex_serving.api.error_responses import write_error
from cortex_serving.api.openapi import read_sample
from cortex_serving.errors import ServingError, UnsupportedResult
from cortex_serving.payloads.request_data import MultiMapping
from cortex_serving.payloads.validation import InvalidPayload
from cortex_serving.predictors.predictor import summary
from cortex_serving.results.render import render
from cortex_serving.results.tables import split_batch
from cortex_serving.spec import PredictorSpec

logger = logging.getLogger(__name__)

TURN_OFF = "predictor.warmup: false starts without it"
_LONGEST = 800  # characters of an answer or exception: the replica's shared state has room for a line
_CLIENTS_FAULT, _FIRST_FAILURE = range(400, 500), 400


class SampleFailed(ServingError):
    """The predictor did not answer its sample request; the cause is the predictor's exception, if there was one.

    Args:
        sample: The file with the sample.
        what: What became of it.
    """

    def __init__(self, sample: str, what: str) -> None:
        super().__init__(f"the sample request {sample} {what[:_LONGEST]} ({TURN_OFF})")


def warm_up(predictor: PredictorSpec, serving: Serving, project: Path) -> None:
    """Send the sample request (``predictor.warmup``, a file) through the predictor before it is ready.

    With batching, through every power of two up to the largest batch, so that each compiled shape exists. Of a stream
    only the beginning is produced: it may have no end.

    Args:
        predictor: The specification.
        serving: The predictor in service.
        project: The project folder.

    Raises:
        SampleFailed: The sample cannot be read, or a client would get an answer of 4XX or 5XX.
    """
    name = predictor.warmup
    if name is None:
        return
    try:
        sample = read_sample(project, name)
    except (OSError, ValueError) as error:
        raise SampleFailed(name, f"cannot be read: {error}") from None
    if sample is None:
        return
    for size in _sizes(predictor):
        asked: set[str] = set()
        try:
            value = serving.predictor.predict(**_arguments(serving, sample, size, asked))
            for one in [value] if size is None else split_batch(value, size):
                if isinstance(one, BaseException):  # of an item of a batch
                    _judge(name, one, asked)
                else:
                    _begin_answer(name, serving.predictor.take_apart(one)[0])
        except SampleFailed:
            raise
        except BaseException as error:  # sys.exit too: of a request, it would be a 500
            _judge(name, error, asked)


def _judge(name: str, error: BaseException, asked: set[str]) -> None:
    """Decide whether an exception is the fault of predictor or sample.

    Args:
        name: The sample's file.
        error: What the predictor raised, or reading the payload.
        asked: Query parameters and headers that ``predict`` asked for, and a sample does not have.

    Raises:
        SampleFailed: It is.
    """
    answer, unexpected = falcon.Response(), list[str]()
    write_error(answer, error, unexpected.append, summary)
    if answer.status_code < _FIRST_FAILURE:  # a predictor may raise any answer
        return
    if (answer.status_code in _CLIENTS_FAULT and asked) or any(
        isinstance(each, _NotInSample) for each in _chain(error)
    ):
        missing = ", ".join(sorted(asked))
        logger.warning("no warm-up: predict asked for %s (query parameter or header), which no sample has", missing)
        return
    cause = None if isinstance(error, (InvalidPayload, UnsupportedResult)) else error  # their words say everything
    if not unexpected:
        _fail(name, answer, cause)
    raise SampleFailed(name, f"failed: {unexpected[0]}") from cause


def _fail(name: str, answer: falcon.Response, cause: BaseException | None = None) -> NoReturn:
    body = answer.text if answer.data is None else answer.data.decode("utf-8", "replace")
    raise SampleFailed(name, f"was answered with {answer.status_code}: {body or 'no text'}") from cause


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _sizes(predictor: PredictorSpec) -> list[int | None]:
    """Batch sizes to warm up; None stands for a call without batching."""
    if predictor.batching is None:
        return [None]
    largest = predictor.batching.max_batch_size
    return [2**power for power in range(largest.bit_length()) if 2**power < largest] + [largest]


def _begin_answer(name: str, value: Any) -> None:
    """Do what is done for an answer before its first byte is sent: generators have not run until then."""
    answer = falcon.Response()
    render(value, answer)
    stream: Any = answer.stream
    if stream is not None:
        next(stream)  # the piece that is there already: only what has begun is ended by close
        stream.close()
    if answer.status_code >= _FIRST_FAILURE:
        _fail(name, answer)


class _NotInSample(KeyError):
    """A query parameter or header that no sample has."""


class _Nothing(MultiMapping):
    """The query parameters or headers of a sample, which has none.

    Args:
        asked: Takes the names that are asked for.
    """

    def __init__(self, asked: set[str]) -> None:
        super().__init__([])
        self._asked = asked

    def __getitem__(self, name: str) -> Any:
        self._asked.add(name)
        raise _NotInSample(name)

    def __contains__(self, name: object) -> bool:
        self._asked.add(str(name))
        return False

    def getlist(self, name: str) -> list[Any]:
        self._asked.add(name)
        return []


def _arguments(serving: Serving, sample: Any, size: int | None, asked: set[str]) -> dict[str, Any]:
    def payload() -> Any:  # a new one each time: predictors may take their payloads apart
        fresh = deepcopy(sample)
        return fresh if serving.expected is None else serving.expected.validate(fresh)

    wants = serving.predictor.wants
    make: dict[str, Callable[[], Any]] = {
        "payload": payload,
        "query_params": lambda: _Nothing(asked),
        "headers": lambda: _Nothing(asked),
    }
    arguments = {
        name: make[name]() if size is None else [make[name]() for _ in range(size)] for name in wants if name in make
    }
    if "batch_id" in wants:
        arguments["batch_id"] = None
    return arguments
