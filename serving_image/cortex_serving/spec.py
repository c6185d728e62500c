"""The API's specification, as typed values with their defaults.

Field names and defaults are those of ``cortex.yaml`` (cortex.md 2.1). The deployer has checked bounds already. Only the
fields that the serving program needs are read, so that an older image serves a newer specification.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cortex_serving.contract import (
    API_KEY_AUTH,
    DEFAULT_MAX_CONCURRENCY,
    DEFAULT_STARTUP_TIMEOUT_S,
    ONLY_MODEL,
    REALTIME_API,
    SAMPLE_FILE,
    default_max_body_bytes,
)
from cortex_serving.errors import SpecError
from cortex_serving.formats.problem import FormatError
from cortex_serving.formats.quantities import parse_duration, parse_size

LOG_LEVELS = ("debug", "info", "warning", "error")

_MOST_WAITING = 512 * 2**20
_SHARE = 4  # of the replica's memory, one in so many is for the bodies that are worked on
_MOST_BUILT = 8  # times the longest body: as much as ordinary JSON takes as Python's values
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Batching:
    """Server-side batching.

    Attributes:
        max_batch_size: Most requests in a batch.
        batch_interval: Seconds for which the first request of a batch waits for others.
        splits: Whether each request of a batch that failed is predicted again, alone (``on_error: split``).
    """

    max_batch_size: int
    batch_interval: float
    splits: bool = True


@dataclass(frozen=True)
class ModelEntry:
    """One model of ``predictor.models.paths``.

    Attributes:
        name: Name of the model.
        model_path: ``s3://bucket/prefix``, or a path in the project.
        signature_key: Signature to call, for SavedModels.
    """

    name: str
    model_path: str
    signature_key: str | None = None


@dataclass(frozen=True)
class Models:
    """The configured models: either ``paths`` or ``dir``.

    Attributes:
        paths: The models, one by one.
        dir: Folder of which every subfolder is a model: ``s3://bucket/prefix``, or a path in the project.
        signature_key: Signature of models that name none.
        cache_size: Most models in memory; None keeps all.
        disk_cache_size: Most fetched models on disk; None keeps all.
        shaped_outputs: Whether clients return outputs in their shape, not as flat lists; for SavedModels.
        batching: How concurrent calls of the client are put together, for predictor types whose client does that.
        callers: Threads of one process that can call the client at the same time.
    """

    paths: tuple[ModelEntry, ...] = ()
    dir: str | None = None
    signature_key: str | None = None
    cache_size: int | None = None
    disk_cache_size: int | None = None
    shaped_outputs: bool = False
    batching: Batching | None = None
    callers: int = 1


@dataclass(frozen=True)
class PredictorSpec:
    """The ``predictor`` section.

    Attributes:
        type: Name of a predictor type (``predictors.types``), not checked yet.
        path: The predictor's file, in the project.
        config: Passed to the predictor's ``__init__``.
        python_path: Folder in the project that imports start from; None takes the project's.
        processes: Worker processes.
        threads: Predictions at a time in each of them.
        batching: Server-side batching, if it is on.
        models: The configured models, if there are any.
        access_log: Share of requests that get an access line, 0 to 1.
        max_body_bytes: Bytes of the largest request body; None for the default.
        log_level: Least severe records of ``logging`` that are logged: debug, info, warning or error.
        warmup: File in the project with the warm-up request; None for no warm-up.
        startup_timeout: Seconds that a replica may take to become ready.
    """

    type: str
    path: str
    config: Mapping[str, Any] = field(default_factory=dict)
    python_path: str | None = None
    processes: int = 1
    threads: int = 1
    batching: Batching | None = None
    models: Models | None = None
    access_log: float = 1.0
    max_body_bytes: int | None = None
    log_level: str = "info"
    warmup: str | None = SAMPLE_FILE
    startup_timeout: float = DEFAULT_STARTUP_TIMEOUT_S


@dataclass(frozen=True)
class Monitoring:
    """Prediction monitoring.

    Attributes:
        model_type: ``classification`` or ``regression``.
        key: Key of the response that holds the prediction; None for the response itself.
    """

    model_type: str
    key: str | None = None


@dataclass(frozen=True)
class BodyLimits:
    """Limits of a request's body.

    Attributes:
        size: Bytes, after decompression.
        built: Bytes of memory that the values of a body may take, roughly.
        waiting: Bytes of memory that bodies may take together, in one process, before they are worked on.
    """

    size: int
    built: int
    waiting: int


@dataclass(frozen=True)
class ApiSpec:
    """One API as the serving program sees it.

    Attributes:
        name: Its name.
        endpoint: Path with a leading and without a trailing slash.
        predictor: The ``predictor`` section.
        monitoring: Prediction monitoring, if it is on.
        max_replica_concurrency: Most requests that the replica admits at once.
        memory: Bytes of memory that the replica may use (``compute.mem``); None without a limit.
        asks_for_key: Whether requests need an API key (``networking.auth``).
        cors: Origins of the web pages that may use the API (``networking.cors``), or ``*``; None for the default.
    """

    name: str
    endpoint: str
    predictor: PredictorSpec
    monitoring: Monitoring | None = None
    max_replica_concurrency: int = DEFAULT_MAX_CONCURRENCY
    memory: int | None = None
    asks_for_key: bool = False
    cors: tuple[str, ...] | None = None

    @property
    def limits(self) -> BodyLimits:
        """What requests' bodies may take: together they must not end the replica."""
        predictor = self.predictor
        size = predictor.max_body_bytes or default_max_body_bytes(self.memory)
        built = _MOST_BUILT * size
        if self.memory is None:
            return BodyLimits(size, built, _MOST_WAITING)
        at_once = predictor.processes * predictor.threads
        shared = self.memory // (_SHARE * max(1, at_once // 2))
        return BodyLimits(
            size, min(built, shared), min(_MOST_WAITING, self.memory // (2 * _SHARE) // predictor.processes)
        )


def parse_spec(data: Mapping[str, Any]) -> ApiSpec:
    """Read a specification. The predictor's type is not looked up yet.

    Args:
        data: The mapping in ``Variable.SPEC``, or one entry of ``cortex.yaml``.

    Raises:
        SpecError: A required field is missing, or a value makes no sense.
    """
    try:
        return _parse(data)
    except KeyError as error:
        raise SpecError(f"the field {error.args[0]} is missing from the specification of the API") from error
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise SpecError(f"the specification of the API holds a value that does not make sense: {error}") from error


def _parse(data: Mapping[str, Any]) -> ApiSpec:
    predictor = data.get("predictor") or {}
    if not isinstance(predictor, Mapping):
        raise SpecError(f"predictor is {predictor!r}, not a mapping with type and path")
    for missing in ("type", "path"):
        if not predictor.get(missing):
            raise SpecError(f"predictor.{missing} is missing from the specification of the API")
    if not isinstance(predictor["path"], str):
        raise SpecError(f"predictor.path is {predictor['path']!r}: give the name of a file")
    if not isinstance(predictor["type"], str):
        raise SpecError(f"predictor.type is {predictor['type']!r}: give the name of a type, such as python")
    name = str(data.get("name") or "api")
    autoscaling = data.get("autoscaling") or {}
    networking = data.get("networking") or {}
    monitoring = data.get("monitoring")
    memory = (data.get("compute") or {}).get("mem")
    limits = data if data.get("max_replica_concurrency") is not None else autoscaling
    return ApiSpec(
        name=name,
        endpoint="/" + str(data.get("endpoint") or networking.get("endpoint") or name).strip("/"),
        predictor=_parse_predictor(predictor),
        monitoring=Monitoring(monitoring["model_type"], monitoring.get("key")) if monitoring else None,
        max_replica_concurrency=_count(limits, "max_replica_concurrency", DEFAULT_MAX_CONCURRENCY),
        memory=None if memory is None else _quantity(parse_size, memory, "compute.mem", "512Mi"),
        asks_for_key=_asks_for_key(networking.get("auth")),
        cors=_parse_cors(networking.get("cors")),
    )


def _asks_for_key(auth: Any) -> bool:
    """Whether the replica asks for keys. Tokens (``jwt``) are the load balancer's business, which passes on good ones.

    Raises:
        SpecError: It is unknown who may send requests: nobody must be let in by mistake.
    """
    if auth in (None, "none") or (isinstance(auth, Mapping) and set(auth) == {"jwt"}):
        return False
    if auth != API_KEY_AUTH:
        raise SpecError(f"networking.auth is {auth!r}: write none, {API_KEY_AUTH} or jwt")
    return True


def _parse_cors(cors: Any) -> tuple[str, ...] | None:
    if cors is None:
        return None
    if cors is False or cors == "off":
        return ()
    return (cors,) if isinstance(cors, str) else tuple(map(str, cors))


def _parse_predictor(data: Mapping[str, Any]) -> PredictorSpec:
    batching = data.get("server_side_batching")
    access_log = data.get("access_log")
    body, start = data.get("max_body_bytes"), data.get("startup_timeout")
    return PredictorSpec(
        type=str(data["type"]),
        path=data["path"],
        config=data.get("config") or {},
        python_path=data["python_path"].strip("/") if data.get("python_path") else None,
        processes=_count(data, "processes_per_replica", PredictorSpec.processes),
        threads=_count(data, "threads_per_process", PredictorSpec.threads),
        batching=None if batching is None else _parse_batching(batching),
        models=_parse_models(data),
        access_log=1.0 if access_log is None else float(access_log),
        max_body_bytes=None if body is None else _quantity(parse_size, body, "max_body_bytes", "64Mi"),
        log_level=_parse_log_level(data.get("log_level")),
        warmup=_parse_warmup(data.get("warmup", True)),
        startup_timeout=PredictorSpec.startup_timeout
        if start is None
        else _quantity(parse_duration, start, "startup_timeout", "90s, 10m or 1h"),
    )


def _parse_batching(data: Mapping[str, Any]) -> Batching:
    return Batching(
        max_batch_size=_count(data, "max_batch_size"),
        batch_interval=_quantity(parse_duration, data["batch_interval"], "batch_interval", "10ms, 1.5s or 2m"),
        splits=_splits(data.get("on_error")),
    )


def _splits(value: Any) -> bool:
    if value not in (None, "split", "fail"):
        raise SpecError(f"on_error is {value!r}: write split or fail")
    return bool(value != "fail")


def _count(data: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A field that holds a whole number above 0.

    Args:
        data: The fields.
        name: The field's name.
        default: Its value if it is not there; None if it must be.
    """
    value = data[name] if default is None else data.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError(f"{name} is {value!r}: give a whole number, 1 or more")
    return value


def _parse_warmup(value: bool | str) -> str | None:
    """Return the file with the warm-up request: ``true`` means ``SAMPLE_FILE``, ``false`` none."""
    if isinstance(value, str):
        return value
    return PredictorSpec.warmup if value else None


def _parse_log_level(value: Any) -> str:
    if value is None:
        return PredictorSpec.log_level
    if value not in LOG_LEVELS:
        raise SpecError(f"log_level is {value!r}: write {', '.join(LOG_LEVELS)}")
    return str(value)


def _quantity(parse: Callable[[Any], _Number], value: Any, name: str, form: str) -> _Number:
    """A duration or size above 0."""
    with contextlib.suppress(ValueError):
        number = parse(value)
        if number > 0:
            return number
    raise SpecError(f"{name} is {value!r}: write it like {form}")


def _parse_models(data: Mapping[str, Any]) -> Models | None:
    """Read both generations of ``models`` (cortex.md 2.1), a list or a mapping, and the single ``model_path``."""
    models = data.get("models")
    if isinstance(models, list):
        models = {"paths": models}
    if models is None and data.get("model_path"):
        only = {"name": ONLY_MODEL, "model_path": data["model_path"], "signature_key": data.get("signature_key")}
        models = {"paths": [only]}
    if not models:
        return None
    entries = tuple(
        ModelEntry(item["name"], item["model_path"], item.get("signature_key")) for item in models.get("paths") or ()
    )
    return Models(
        paths=entries,
        dir=models.get("dir"),
        signature_key=models.get("signature_key") or data.get("signature_key"),
        cache_size=models.get("cache_size"),
        disk_cache_size=models.get("disk_cache_size"),
        shaped_outputs=data.get("shaped_outputs") is True,
    )


def read_config(path: Path, name: str | None) -> dict[str, Any]:
    """Read the entry of one API from a ``cortex.yaml``, for running a project without a deployment.

    Args:
        path: The configuration file.
        name: Name of the API; None takes the first Realtime API.

    Returns:
        The entry. Fields that are ``null`` are left out, as they count as not set.

    Raises:
        SpecError: The file holds no such API.
        FormatError: The file cannot be read, with the place of each problem.
    """
    # Workers and tasks get JSON, and need no YAML.
    from cortex_serving.formats.legacy_api import modernize
    from cortex_serving.formats.yaml_document import read_document

    document = read_document(path)
    problems = [*document.problems, *modernize(document).problems]
    if problems:
        raise FormatError(problems)
    if not isinstance(document.data, list):
        raise SpecError(f"{path} is no list of APIs: begin each with '- name: ...'")
    for entry in document.data:
        if isinstance(entry, dict) and entry.get("kind") == REALTIME_API and name in (None, entry.get("name")):
            return _without_null(entry)
    raise SpecError(f"{path} holds no entry with kind: {REALTIME_API}" + (f" and name: {name}" if name else ""))


def _without_null(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry without the fields that are ``null``; the predictor's own ``config`` keeps its values."""
    made: dict[str, Any] = {}
    for name, value in entry.items():
        if isinstance(value, dict) and name != "config":
            made[name] = _without_null(value)
        elif value is not None:
            made[name] = value
    return made
