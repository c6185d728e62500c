"""From a project folder to a predictor in service: load, build, check, warm up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import falcon

from cortex_serving.api.app import Serving
from cortex_serving.api.openapi import Description, read_sample
from cortex_serving.metrics.monitoring import PredictionMonitor
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.library import open_library
from cortex_serving.payloads.validation import payload_type, result_schema
from cortex_serving.predictors.invoke import Batched, BatchFailed, direct
from cortex_serving.predictors.loading import load_class
from cortex_serving.predictors.predictor import Predictor
from cortex_serving.results.render import render
from cortex_serving.results.tables import split_batch
from cortex_serving.scheduling.batching import Batcher
from cortex_serving.spec import ApiSpec, PredictorSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Built:
    """A predictor in service.

    Attributes:
        serving: For the application.
        batcher: Must run for it, on a thread of its own; None without server-side batching.
        metric_sources: Return lines with metrics.
    """

    serving: Serving
    batcher: Batcher[Any] | None
    metric_sources: tuple[Callable[[], list[bytes]], ...]


def build(
    spec: ApiSpec,
    revision: str,
    project: Path,
    *,
    dimensions: Mapping[str, str],
    counters: Counters,
    put: Callable[..., None],
    batch_failed: BatchFailed,
) -> Built:
    """Build the project's predictor.

    Args:
        spec: The API.
        revision: Its deployed version.
        project: The project folder, in which this process already lives.
        dimensions: Those of the API's metrics.
        counters: Where batches and models are counted.
        put: Has tasks done by the predictor's threads.
        batch_failed: Told about batches that fail as a whole.

    Raises:
        PredictorError: The predictor's file does not hold what it must.
        Exception: The user's code raised.
    """
    sample = None
    with suppress(OSError, ValueError):  # the warm-up tells
        sample = read_sample(project)
    models = spec.predictor.models
    libraries = partial(open_library, models, project, counters) if models else None
    predictor = Predictor(load_class(spec.predictor, project), spec.predictor, libraries)
    batching = spec.predictor.batching
    expected = None
    if "payload" in predictor.wants:
        expected = payload_type(predictor.predict, batched=batching is not None)
    definitions = expected.schema.get("$defs", {}) if expected else {}
    result = cache(partial(result_schema, predictor.predict, batched=batching is not None, taken=definitions))
    batched = Batched(predictor, batching, counters, batch_failed, put) if batching else None
    monitor = PredictionMonitor(dimensions, spec.monitoring) if spec.monitoring else None
    serving = Serving(
        predictor=predictor,
        invoke=direct(predictor),
        batched=batched,
        expected=expected,
        observe=monitor.observe if monitor else None,
        after=put,
        project=project,
        description=Description(
            spec,
            revision,
            expected,
            sample,
            result=result,
            metadata=predictor.metadata,
        ),
    )
    return Built(serving, batched.batcher if batched else None, (monitor.lines,) if monitor else ())


def warm_up(predictor: PredictorSpec, serving: Serving, project: Path) -> None:
    """Send the sample request (``predictor.warmup``, a file) through the predictor before it is ready.

    With batching, through every power of two up to the largest batch, so that each compiled shape exists. Of a stream
    only the beginning is produced: it may have no end. A predictor that fails on its sample still serves: the sample
    may be meant as documentation only.

    Args:
        predictor: The specification.
        serving: The predictor in service.
        project: The project folder.
    """
    try:
        sample = read_sample(project, predictor.warmup) if predictor.warmup else None
    except (OSError, ValueError) as error:
        logger.warning("there is no warm-up, as %s cannot be read: %s", predictor.warmup, error)
        return
    if sample is None:
        return
    try:
        for size in _sizes(predictor):
            value = serving.predictor.predict(**_warm_arguments(serving, sample, size))
            for one in [value] if size is None else split_batch(value, size):
                _begin_answer(one)
    except Exception as error:
        logger.warning("the warm-up request failed, serving anyway: %s: %s", type(error).__name__, error)


def _sizes(predictor: PredictorSpec) -> list[int | None]:
    """Batch sizes to warm up; None stands for a call without batching."""
    if predictor.batching is None:
        return [None]
    largest = predictor.batching.max_batch_size
    return [2**power for power in range(largest.bit_length()) if 2**power < largest] + [largest]


def _begin_answer(value: Any) -> None:
    """Do what is done for an answer before its first byte is sent: generators have not run until then."""
    if isinstance(value, BaseException):  # of an item of a batch
        return
    answer = falcon.Response()
    render(value, answer)
    stream: Any = answer.stream
    if stream is not None:
        next(stream)  # the piece that is there already: only what has begun is ended by close
        stream.close()


def _warm_arguments(serving: Serving, sample: Any, size: int | None) -> dict[str, Any]:
    from cortex_serving.payloads.request_data import Headers, QueryParams

    def payload() -> Any:  # a new one each time: predictors may take their payloads apart
        fresh = deepcopy(sample)
        return fresh if serving.expected is None else serving.expected.validate(fresh)

    wants = serving.predictor.wants
    make: dict[str, Callable[[], Any]] = {
        "payload": payload,
        "query_params": lambda: QueryParams([]),
        "headers": lambda: Headers([]),
    }
    arguments = {
        name: make[name]() if size is None else [make[name]() for _ in range(size)] for name in wants if name in make
    }
    if "batch_id" in wants:
        arguments["batch_id"] = None
    return arguments
