"""The API's specification, as typed values with their defaults.

Field names and defaults are those of ``cortex.yaml`` (cortex.md 2.1). The deployer has checked bounds already. Only the
fields that the serving program needs are read, so that an older image serves a newer specification.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex_serving.contract import (
    DEFAULT_MAX_BODY_BYTES,
    DEFAULT_MAX_CONCURRENCY,
    ONLY_MODEL,
    REALTIME_API,
    SAMPLE_FILE,
)
from cortex_serving.errors import SpecError

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


@dataclass(frozen=True)
class Batching:
    """Server-side batching.

    Attributes:
        max_batch_size: Most requests in a batch.
        batch_interval: Seconds for which the first request of a batch waits for others.
    """

    max_batch_size: int
    batch_interval: float


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
    """

    paths: tuple[ModelEntry, ...] = ()
    dir: str | None = None
    signature_key: str | None = None
    cache_size: int | None = None
    disk_cache_size: int | None = None


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
        max_body_bytes: Bytes of the largest request body.
        warmup: File in the project with the warm-up request; None for no warm-up.
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
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    warmup: str | None = SAMPLE_FILE


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
class ApiSpec:
    """One API as the serving program sees it.

    Attributes:
        name: Its name.
        endpoint: Path with a leading and without a trailing slash.
        predictor: The ``predictor`` section.
        monitoring: Prediction monitoring, if it is on.
        max_replica_concurrency: Most requests that the replica admits at once.
    """

    name: str
    endpoint: str
    predictor: PredictorSpec
    monitoring: Monitoring | None = None
    max_replica_concurrency: int = DEFAULT_MAX_CONCURRENCY


def seconds(value: float | int | str) -> float:
    """Return a duration in seconds.

    Args:
        value: Seconds, or text such as ``10ms``, ``1.5s``, ``1m30s`` (Go's notation).

    Raises:
        SpecError: The text is not a duration.
    """
    if isinstance(value, (int, float)):
        if not 0 <= value < math.inf:
            raise SpecError(f"{value!r} is not a duration: give seconds, or write it like 10ms, 1.5s or 2m")
        return float(value)
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise SpecError(f"{value!r} is not a duration: write it like 10ms, 1.5s or 2m")
    return sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)


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
    limits = data if data.get("max_replica_concurrency") is not None else autoscaling
    return ApiSpec(
        name=name,
        endpoint="/" + str(data.get("endpoint") or networking.get("endpoint") or name).strip("/"),
        predictor=_parse_predictor(predictor),
        monitoring=Monitoring(monitoring["model_type"], monitoring.get("key")) if monitoring else None,
        max_replica_concurrency=_count(limits, "max_replica_concurrency", DEFAULT_MAX_CONCURRENCY),
    )


def _parse_predictor(data: Mapping[str, Any]) -> PredictorSpec:
    batching = data.get("server_side_batching")
    access_log = data.get("access_log")
    return PredictorSpec(
        type=str(data["type"]),
        path=data["path"],
        config=data.get("config") or {},
        python_path=data.get("python_path"),
        processes=_count(data, "processes_per_replica", PredictorSpec.processes),
        threads=_count(data, "threads_per_process", PredictorSpec.threads),
        batching=None if batching is None else _parse_batching(batching),
        models=_parse_models(data),
        access_log=1.0 if access_log is None else float(access_log),
        max_body_bytes=_size(data.get("max_body_bytes")),
        warmup=_parse_warmup(data.get("warmup", True)),
    )


def _parse_batching(data: Mapping[str, Any]) -> Batching:
    return Batching(_count(data, "max_batch_size"), seconds(data["batch_interval"]))


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


def _size(value: int | str | None) -> int:
    """Return bytes, from a number or text such as ``64Mi``; None is the default."""
    if value is None:
        return PredictorSpec.max_body_bytes
    match = re.fullmatch(r"(\d+)([KMGT]?)(i?)", str(value))
    if match is None:
        raise SpecError(f"{value!r} is not a size: write it like 64Mi")
    number, unit, binary = match.groups()
    factor: int = (1024 if binary else 1000) ** (" KMGT".index(unit) if unit else 0)
    return int(number) * factor


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
    )


def read_config(path: Path, name: str | None) -> dict[str, Any]:
    """Read the entry of one API from a ``cortex.yaml``, to run a project without a deployment.

    Args:
        path: The configuration file.
        name: The API's name; None takes the first Realtime API.

    Raises:
        SpecError: The file cannot be read, or holds no such API.
    """
    import yaml  # standalone runs only: tasks and workers get JSON

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"cannot read {path}: {error}") from error
    if not isinstance(entries, list):
        raise SpecError(f"{path} is no list of APIs: begin each with '- name: ...'")
    apis = [entry for entry in entries if isinstance(entry, dict) and entry.get("kind", REALTIME_API) == REALTIME_API]
    for api in apis:
        if name is None or api.get("name") == name:
            return api
    raise SpecError(f"{path} holds no Realtime API" + (f" named {name}" if name else ""))
