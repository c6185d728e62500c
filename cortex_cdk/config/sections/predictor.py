"""The ``predictor`` section: the user's code and its models."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cortex_serving.contract import DEFAULT_STARTUP_TIMEOUT_S, PICKLE_SUFFIX, SAMPLE_FILE, Variable
from cortex_serving.formats.env_file import wrong_variable
from cortex_serving.predictors.predictor_type import PICKLES, PredictorType, Runtime
from cortex_serving.predictors.types import predictor_types
from pydantic import BeforeValidator, Field, Strict, WithJsonSchema, field_validator

from cortex_cdk.config.document import FieldPath
from cortex_cdk.config.model import Allowed, Conflict, Number, Section, Shown, Text, Whole, or_written_as
from cortex_cdk.config.quantities import DURATION, Size, parse_duration
from cortex_cdk.config.sections import iam_policies, secret_reference
from cortex_cdk.config.sections.secret_reference import SecretReference

if TYPE_CHECKING:
    TypeName = str
else:
    # Known when the program runs: each type is a module (docs/decisions/0022).
    TypeName = Literal[tuple(predictor_types())]
# Cortex refuses a name of its own, which begins so.
_MODEL_NAME = re.compile(r"(?!_cortex)[A-Za-z0-9_-]+")
# The AWS SDKs of a replica read variables of the second prefix: a value of the user's would take the place of the role.
_RESERVED = (Variable.PREFIX, "AWS_")
SHORTEST_START_S, LONGEST_START_S = 10, 3600
"""Health checks alone take ten seconds. CloudFormation waits three hours, in which two replicas may have to fail."""
_SECRET_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _model_name(value: Any) -> str:
    if not isinstance(value, str) or not _MODEL_NAME.fullmatch(value):
        raise ValueError("not a model name")
    return value


def _interval(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError("not an interval")
    return seconds


def _python_path(value: Any) -> str:
    if not isinstance(value, str) or value.startswith(("/", "~")) or not _inside(value):
        raise ValueError("not a Python path")
    return value.strip("/")


def _inside(path: str) -> bool:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return bool(parts) and ".." not in parts


def _variable_name(value: Any) -> str:
    if wrong_variable(value, ""):
        raise ValueError("not the name of a variable")
    return str(value)


def _variable_value(value: Any) -> str:
    if wrong_variable("A", value):
        raise ValueError("not the value of a variable")
    return str(value)


def _secret_variable(value: Any) -> str:
    if not isinstance(value, str) or not _SECRET_VARIABLE.fullmatch(value) or value.startswith(_RESERVED):
        raise ValueError("not the name of a variable")
    return value


def _secret_reference(value: Any) -> str:
    return str(SecretReference.of(value))


def _warmup(value: Any) -> bool | str:
    if isinstance(value, bool) or (isinstance(value, str) and value):
        return value
    raise ValueError("neither a flag nor a file")


def _startup_timeout(value: Any) -> float:
    seconds = parse_duration(value)
    if not SHORTEST_START_S <= seconds <= LONGEST_START_S:
        raise ValueError("not a time to start in")
    return seconds


class Model(Section):
    """One of several models."""

    name: Annotated[
        str, BeforeValidator(_model_name), Allowed("letters, digits, _ or -, not beginning with _cortex")
    ] = Field(description="Name by which the predictor asks for the model.")
    model_path: Text = Field(description="Folder or file of the model: an S3 path, or a path in the project.")
    signature_key: Text | None = Field(None, description="SavedModel signature to call.")


class Models(Section):
    """Several models in one API: ``paths`` or ``dir``. A plain list of models (Cortex 0.21 and before) is ``paths``.

    ``cache_size`` and ``disk_cache_size`` go together, the first not above the second, with one process in each
    replica.
    """

    paths: tuple[Model, ...] | None = Field(None, description="The models, one by one.")
    dir: Text | None = Field(
        None, description="Folder of which every direct subfolder is a model: an S3 path, or a path in the project."
    )
    signature_key: Text | None = Field(None, description="SavedModel signature of models that do not name one.")
    cache_size: Annotated[Whole, Field(ge=1)] | None = Field(
        None, description="Models kept in memory; the least recently used one goes."
    )
    disk_cache_size: Annotated[Whole, Field(ge=1)] | None = Field(None, description="Models kept on disk.")

    def rules(self) -> Iterator[Conflict]:
        if self.paths is None and self.dir is None:
            yield Conflict(((),), "needs paths (a list of models) or dir (a folder of models)")
        elif self.paths is not None and self.dir is not None:
            yield Conflict((("dir",), ("paths",)), "cannot be used together with paths", "remove one of them")
        if self.paths is not None:
            yield from self._path_rules(self.paths)
        if (self.cache_size is None) != (self.disk_cache_size is None):
            given, other = ("cache_size", "disk_cache_size") if self.cache_size else ("disk_cache_size", "cache_size")
            yield Conflict(((given,), (other,)), f"needs {other} too")
        elif self.cache_size and self.disk_cache_size and self.cache_size > self.disk_cache_size:
            yield Conflict(
                (("cache_size",), ("disk_cache_size",)),
                f"{self.cache_size} is more than disk_cache_size, which is {self.disk_cache_size}",
            )

    def _path_rules(self, paths: tuple[Model, ...]) -> Iterator[Conflict]:
        if not paths:
            yield Conflict((("paths",),), "must have at least one model")
        counts: Counter[str] = Counter()
        for index, model in enumerate(paths):
            counts[model.name] += 1
            if counts[model.name] == 2:
                yield Conflict(
                    (("paths", index, "name"),), f"there is another model named {model.name}", "names must be unique"
                )


class ServerSideBatching(Section):
    """Requests put together into one call of ``predict``.

    ``max_batch_size`` is not above ``autoscaling.max_replica_concurrency``, which is what a replica admits.
    """

    max_batch_size: Annotated[Whole, Field(ge=2, le=1024)] = Field(description="Most requests in one call.")
    batch_interval: Annotated[
        float, BeforeValidator(_interval), DURATION, Allowed("a duration such as 50ms, above 0")
    ] = Field(description="Longest time that the first request of a batch waits for others.")
    on_error: Literal["split", "fail"] = Field(
        "split",
        description="When `predict` raises an exception for several requests: `split` calls `predict` again for each "
        "of them alone, `fail` answers all of them with 500.",
    )


class Predictor(Section):
    """The predictor class, how many run in each replica, and what they are given.

    The class and its methods are checked without running them.
    """

    type: TypeName = Field(description="Type of the predictor, which decides its class and its client: see below.")
    path: Text = Field(description="Python file with the predictor class, relative to the configuration file.")
    model_path: Text | None = Field(
        None, description="Folder or file of the only model: an S3 path, or a path in the project."
    )
    signature_key: Text | None = Field(None, description="SavedModel signature to call.")
    models: Annotated[Models | None, Allowed("a map with paths or dir, or a list of models")] = Field(
        None,
        description="Several models; instead of `model_path`.",
        json_schema_extra=or_written_as("array"),
    )
    server_side_batching: ServerSideBatching | None = Field(
        None,
        description="Batching in the replica, for every predictor type. `predict` gets lists and returns a list. "
        "Unlike in Cortex, a batch may be larger than processes * threads: a waiting request holds no thread. In "
        "TensorFlow predictors, as in Cortex, `predict` gets one payload, and concurrent calls of the client run "
        "together: at most `threads_per_process` of them.",
    )
    processes_per_replica: Annotated[Whole, Field(ge=1, le=100)] = Field(
        1, description="Processes in a replica, each with its own predictor."
    )
    threads_per_process: Annotated[Whole, Field(ge=1)] = Field(1, description="Predictions at a time in one process.")
    config: dict[str, Any] = Field({}, description="Anything; handed to `__init__` as `config`.")
    python_path: Annotated[
        Annotated[
            str,
            BeforeValidator(_python_path),
            Allowed("a folder inside the project, relative and not the project itself"),
        ]
        | None,
        Shown("the project"),
    ] = Field(None, description="Folder in the project that is added to `PYTHONPATH`.")
    image: Annotated[Text | None, Shown("built from the project's dependencies")] = Field(
        None,
        description="Container image that is used as it is; it must have the serving program.",
    )
    base_image: Annotated[Text | None, Shown("Debian with Python")] = Field(
        None,
        description="Image that the API's image is built on: Debian or Ubuntu, such as NVIDIA's with CUDA (which "
        "packages of PyPI and conda bring along themselves). An addition to Cortex's fields.",
    )
    shaped_outputs: Annotated[bool, Strict()] = Field(
        False,
        description="Whether `tensorflow_client.predict` returns each output in its shape. Cortex returned flat lists, "
        "whatever the shape. An addition to Cortex's fields.",
    )
    tensorflow_serving_image: Text | None = Field(
        None, description="Accepted, not used: models are served in the replica's own process."
    )
    env: Annotated[
        dict[Annotated[str, BeforeValidator(_variable_name)], Annotated[str, BeforeValidator(_variable_value)]],
        Allowed(
            f"text, under a name that does not start with {Variable.PREFIX} (put numbers and true, false in quotes)"
        ),
    ] = Field({}, description="Environment variables of the replica.")
    iam_policies: Annotated[
        tuple[Text | dict[str, Any], ...], Allowed("a list of ARNs of policies, and statements of IAM (maps)")
    ] = Field(
        (),
        description="What the code may do in AWS besides what every replica may: ARNs of managed policies (at most "
        "10), and statements with Effect, Action, Resource and Condition, as IAM writes them. See "
        "[predictors](predictor.md#permissions). An addition to Cortex's fields.",
    )
    secrets: Annotated[
        dict[
            Annotated[str, BeforeValidator(_secret_variable)],
            Annotated[str, BeforeValidator(_secret_reference), WithJsonSchema(secret_reference.JSON_SCHEMA)],
        ],
        Allowed(
            f"{secret_reference.WORDS}, under the name of a variable: letters, digits and _, not starting with "
            f"{' or '.join(_RESERVED)}"
        ),
    ] = Field(
        {},
        description="Environment variables whose values ECS reads from Secrets Manager or Systems Manager when a "
        "replica starts. See [secrets](secrets.md). An addition to Cortex's fields.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe records of Python's `logging` that get into the log."
    )
    # Data loaders of PyTorch exchange batches through shared memory; Docker's default is 64 MiB.
    shm_size: Annotated[Size, Shown("1Gi")] = Field(
        2**30,
        description="Shared memory of a replica (`/dev/shm`), for data that its processes share. The local cloud uses "
        "this machine's.",
    )
    warmup: Annotated[bool | str, BeforeValidator(_warmup), Allowed("true, false, or a file in the project")] = Field(
        True,
        description="Sample request that a replica must answer before it is ready: a file, `true` for "
        f"`{SAMPLE_FILE}` where the project has one, or `false`. An addition to Cortex's fields.",
    )
    startup_timeout: Annotated[
        float, BeforeValidator(_startup_timeout), DURATION, Allowed("a duration from 10s to 1h"), Shown("10m")
    ] = Field(
        float(DEFAULT_STARTUP_TIMEOUT_S),
        description="Longest time from the start of a replica until the replica is ready: files, imports, `__init__` "
        "and warm-up. A replica that takes longer ends, and says which line it was at. Health checks count a little "
        "later (ECS's health check grace period). An addition to Cortex's fields.",
    )
    access_log: Annotated[Number, Field(ge=0, le=1)] = Field(
        1.0, description="Share of requests that get a line in the log. An addition to Cortex's fields."
    )
    max_body_bytes: Annotated[Size | None, Shown("64Mi, at most an eighth of compute.mem")] = Field(
        None,
        description="Largest request body, at most half of `compute.mem`; more is answered with 413. So are values "
        "that would take more memory than eight such bodies, or a quarter of `compute.mem`. "
        "An addition to Cortex's fields.",
    )

    @field_validator("models", mode="before")
    @classmethod
    def _list_is_paths(cls, value: Any) -> Any:
        return {"paths": value} if isinstance(value, list) else value

    @property
    def kind(self) -> PredictorType:
        """The rules of the predictor's type."""
        return predictor_types()[self.type]

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """The packages that replicas need for the predictor's type and file."""
        return (*self.kind.runtimes, *((PICKLES,) if self.path.endswith(PICKLE_SUFFIX) else ()))

    @property
    def has_models(self) -> bool:
        """Whether models are configured, so that the predictor gets a client."""
        return bool(self.model_path or self.models)

    @property
    def s3_prefixes(self) -> list[tuple[str, str]]:
        """Bucket and key prefix of every model in S3, each once, sorted."""
        models = self.models
        paths = [self.model_path, models and models.dir, *(each.model_path for each in (models and models.paths) or ())]
        split = (path.removeprefix("s3://").partition("/") for path in paths if path and path.startswith("s3://"))
        return sorted({(bucket, key.rstrip("/")) for bucket, _, key in split})

    @property
    def secret_references(self) -> dict[str, SecretReference]:
        """Where the values of ``secrets`` come from, by variable."""
        return {variable: SecretReference.of(written) for variable, written in self.secrets.items()}

    @property
    def slots(self) -> int:
        """Predictions that one replica can run at a time."""
        return self.processes_per_replica * self.threads_per_process

    def rules(self) -> Iterator[Conflict]:
        yield from (conflict.below("iam_policies") for conflict in iam_policies.conflicts(self.iam_policies))
        if self.image and self.base_image:
            yield Conflict((("base_image",), ("image",)), "has no effect on an image of your own", "remove one of them")
        if self.model_path and self.models:
            yield Conflict(
                (("models",), ("model_path",)), "cannot be used together with model_path", "remove one of them"
            )
        if self.kind.needs_models and not self.has_models:
            yield Conflict(
                (("model_path",), ("models",), ("type",)), f"{self.type} predictors need model_path or models"
            )
        for variable in sorted(self.secrets.keys() & self.env.keys()):
            yield Conflict(
                (("secrets", variable), ("env", variable)),
                "is in env, too: a variable has one value",
                "remove one of them",
            )
        for path in set_fields(self):
            owners = owners_of(path[-1])
            if owners and self.kind not in owners:
                titles = " and ".join(owner.title for owner in owners)
                yield Conflict(
                    (path, ("type",)), f"is for {titles} predictors only, and this one is {self.type}", "remove it"
                )
        if self.models and self.models.cache_size and self.processes_per_replica > 1:
            yield Conflict(
                (("models", "cache_size"), ("processes_per_replica",)),
                f"needs processes_per_replica to be 1, not {self.processes_per_replica}: each has its own cache",
            )


def owners_of(field: str | int) -> tuple[PredictorType, ...]:
    """The predictor types that a field of the ``predictor`` section is for; none where it is for every type."""
    return tuple(kind for kind in predictor_types().values() if field in kind.own_fields)


def set_fields(section: Section) -> Iterator[FieldPath]:
    """The paths of all fields of a section that hold something, with those of the sections below."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if not value:
            continue
        yield (name,)
        items = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for index, item in items:
            if isinstance(item, Section):
                parent: FieldPath = (name,) if index is None else (name, index)
                yield from ((*parent, *path) for path in set_fields(item))
