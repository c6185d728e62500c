"""From a project folder to a predictor in service: load, build, check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from cortex_serving.api.app import Serving
from cortex_serving.api.openapi import Description, read_sample
from cortex_serving.metrics.monitoring import PredictionMonitor
from cortex_serving.metrics.telemetry import Counters
from cortex_serving.models.cache import Load
from cortex_serving.models.library import Library, open_library
from cortex_serving.payloads.validation import payload_type, result_schema
from cortex_serving.predictors.invoke import Batched, BatchFailed, direct
from cortex_serving.predictors.loading import load_class
from cortex_serving.predictors.predictor import Predictor, tell_of_streams
from cortex_serving.scheduling.batching import Batcher
from cortex_serving.spec import ApiSpec, Models


@dataclass(frozen=True)
class Built:
    """A predictor in service.

    Attributes:
        serving: For the application.
        batcher: Must run for it, on a thread of its own; None without server-side batching.
        metric_sources: Return lines with metrics.
        models: Returns the versions of the models that are served, by name.
    """

    serving: Serving
    batcher: Batcher[Any] | None
    metric_sources: tuple[Callable[[], list[bytes]], ...]
    models: Callable[[], dict[str, list[str]]]


class _Libraries:
    """Opens the library of the configured models, and knows what is in it."""

    def __init__(self, models: Models, project: Path, counters: Counters) -> None:
        self._open = partial(open_library, models, project, counters)
        self._opened: Library | None = None

    def open(self, load: Load) -> Library:
        """Open the library, given how a model is loaded from its files."""
        self._opened = self._open(load)
        return self._opened

    def names(self) -> dict[str, list[str]]:
        """The versions of each model."""
        return self._opened.names() if self._opened else {}


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
    libraries = _Libraries(models, project, counters) if models else None
    predictor = Predictor(load_class(spec.predictor, project), spec.predictor, libraries.open if libraries else None)
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
        streams_told=spec.predictor.threads > 1 or tell_of_streams(predictor.predict),
        description=Description(spec, revision, expected, sample, result=result, metadata=predictor.metadata),
    )
    return Built(
        serving,
        batched.batcher if batched else None,
        (monitor.lines,) if monitor else (),
        libraries.names if libraries else dict,
    )
