"""What the serving program, the stacks, the deployer and the local cloud agree on. Each value stands here, once.

Imports the standard library only, so that every program can read it at once (docs/decisions/0022). Predictor types are
the other half of the contract: ``predictors.types``. Names of AWS resources are in ``cortex_cdk.names``.

A change reaches a replica with its next image or task definition. Until then old replicas keep to the old value, so
give a changed meaning a new name.
"""

from __future__ import annotations

COMMAND = "cortex-serve"
"""Program that an image runs (the Dockerfiles' ``CMD``)."""
PORT = 8888
"""Port that a replica listens on (the Dockerfiles' ``EXPOSE``)."""
LISTEN = f"0.0.0.0:{PORT}"
"""Address that a container listens on: every interface, as Docker forwards to one of them."""

LIVE_PATH = "/healthz"
"""Answers 200 unless the replica has failed."""
READY_PATH = "/readyz"
"""Answers 200 while the replica can predict. The load balancer's health check asks this path."""
PROBE_PATHS = (LIVE_PATH, READY_PATH)

REALTIME_API = "RealtimeAPI"
TRAFFIC_SPLITTER = "TrafficSplitter"


API_KEY_AUTH = "api_key"
"""``networking.auth`` of an API whose replicas ask for a key."""
ANY_ORIGIN = "*"
"""In ``networking.cors``: pages of every origin."""


class Variable:
    """Names of environment variables.

    The first group is set by the task definition, the second by the platform, the third by the serving program for its
    own processes.
    """

    PREFIX = "CORTEX_"
    """Begins all of them; ``predictor.env`` may set none that begins so."""

    API = "CORTEX_API"
    BASE_URL = "CORTEX_BASE_URL"
    """Scheme and host of the load balancer, where this API calls others: ``$CORTEX_BASE_URL/<endpoint>``."""
    CLUSTER = "CORTEX_CLUSTER"
    KEYS = "CORTEX_KEYS"
    """Where the API keys are (``networking.auth: api_key``): ``s3://bucket/key``, or a file."""
    LISTEN = "CORTEX_LISTEN"
    """``HOST:PORT``."""
    LOG_GROUP = "CORTEX_LOG_GROUP"
    """CloudWatch log group; without it, logs go to standard output only."""
    PROJECT = "CORTEX_PROJECT"
    """``s3://bucket/key`` of the project archive, or a folder."""
    REVISION = "CORTEX_REVISION"
    SPEC = "CORTEX_SPEC"
    """The API's specification as JSON (``spec``)."""
    STOP_TIMEOUT = "CORTEX_STOP_TIMEOUT"
    """Seconds between SIGTERM and SIGKILL."""

    PROJECT_DIR = "CORTEX_PROJECT_DIR"
    """Folder that an archive is unpacked into (the Dockerfiles set it)."""
    TERMINATION_LOG = "CORTEX_TERMINATION_LOG"
    """File that receives the reason of a fatal end (the local cloud sets it, and Kubernetes can show it)."""
    HTTP = "CORTEX_HTTP"
    """``fast``, or ``stock`` to serve by waitress without our fast paths (``settings.Http``)."""
    CLIENT_TIMEOUT = "CORTEX_CLIENT_TIMEOUT"
    """Seconds that a client may do nothing in the middle of a request or an answer (60)."""

    WORKER = "CORTEX_WORKER"
    MODEL_DIR = "CORTEX_MODEL_DIR"
    PREDICTOR_FILE = "CORTEX_PREDICTOR_FILE"


REQUEST_ID_HEADER = "X-Request-Id"
"""Of requests and answers; the request's log lines carry it too."""
API_HEADER = "X-Cortex-Api"
REVISION_HEADER = "X-Cortex-Revision"
KEY_HEADER = "X-Api-Key"
"""Of requests: the client's key, where ``Authorization: Bearer`` does not have it."""
TIMEOUT_HEADER = "X-Cortex-Timeout-Ms"
"""Of requests: milliseconds that the client waits for its turn."""


METRIC_NAMESPACE = "Cortex"
CLUSTER_DIMENSION = "Cluster"
API_DIMENSION = "Api"
CLASS_DIMENSION = "Class"
"""Of ``PREDICTION_METRIC`` where predictions are classes: the predicted class."""
IN_FLIGHT_METRIC = "InFlight"
"""Requests that a replica has begun or keeps waiting: an average a report, published when idle or loading, too."""
PREDICTION_METRIC = "Prediction"
"""Predicted numbers, or how often each class was predicted (``monitoring``)."""
KEY_DIMENSION = "Key"
KEY_METRIC = "KeyRequests"
"""Requests with one of the cluster's keys, whatever the answer; ``KEY_DIMENSION`` is the key's name."""
FORWARDED_METRIC = "Forwarded"
"""Requests that came by way of a traffic splitter."""
BATCH_SIZE_METRIC = "BatchSize"
"""Requests in a batch."""
QUEUE_TIME_METRIC = "QueueTime"
"""Milliseconds from a request's arrival until it was worked on, the wait for its batch included."""
REPORT_SECONDS = 10.0
"""Between two reports of a replica's metrics."""


def dimensions(cluster: str, api: str) -> dict[str, str]:
    """The dimensions of an API's metrics. An account may hold several clusters that have an API of this name.

    Args:
        cluster: The cluster's name; empty outside a cluster, where the dimension is left out.
        api: The API's name.
    """
    return {**({CLUSTER_DIMENSION: cluster} if cluster else {}), API_DIMENSION: api}


FATAL_EVENT = "fatal"
"""``event`` of the log record that says why a replica ended."""
LOADING_EVENT = "still_loading"
"""``event`` of the log record that says what a worker is doing that has not built its predictor for a while."""
TRACEBACK_EVENT = "traceback"
"""``event`` of the log record with the traceback of a predictor that could not be built."""
USAGE_FIELD = "replica_usage"
"""Field of the log record with ``IN_FLIGHT_METRIC``: what the replica uses and serves (``replica.report``)."""
METRICS_FIELD = "_aws"
"""Field of log records that carry metrics (CloudWatch's embedded metric format)."""


def log_stream(revision: str, task: str) -> str:
    """The name of a replica's log stream.

    Args:
        revision: The API's revision; empty outside a cluster.
        task: The id of the replica's ECS task.
    """
    # The two characters that CloudWatch does not take (CreateLogStream, logStreamName).
    return f"{revision or 'none'}/{task}".replace(":", "-").replace("*", "-")


def split_log_stream(name: str) -> tuple[str, str]:
    """Revision and task id, from the name of a log stream; an unknown revision is empty."""
    revision, _, task = name.rpartition("/")
    return revision, task


CONFIG_FILE = "cortex.yaml"
"""The configuration file, in a folder that is named instead of a file."""
SAMPLE_FILE = "sample.json"
"""Sample request in a project: shown by the API, sent at warm-up."""
PICKLE_SUFFIX = ".pickle"
"""Ends the name of a file with a pickled predictor class, as Cortex's Python client made them."""
ONLY_MODEL = ""
"""Name of the model that ``predictor.model_path`` gives: one that no model of ``predictor.models`` can have."""

DEFAULT_MAX_BODY_BYTES = 64 * 2**20


def default_max_body_bytes(memory: int | None) -> int:
    """The longest request body, unless ``predictor.max_body_bytes`` says otherwise: at most an eighth of the memory.

    Args:
        memory: Bytes of memory of a replica (``compute.mem``); None without a limit.
    """
    return DEFAULT_MAX_BODY_BYTES if memory is None else min(DEFAULT_MAX_BODY_BYTES, memory // 8)


DEFAULT_MAX_CONCURRENCY = 1024
"""Requests that a replica admits at once, unless ``autoscaling.max_replica_concurrency`` says otherwise."""
MAX_PROJECT_BYTES = 512 * 2**20
"""Of a project's files together (Cortex's limit; cortex.md 1.5)."""
MAX_PROJECT_FILES = 100_000
"""Our own limit: links inside a project can multiply its files without end."""
MAX_ARCHIVE_BYTES = MAX_PROJECT_BYTES + 64 * 2**20
"""Of a project's zip: what cannot be compressed gets larger by some hundred bytes a file."""
MAX_LOG_LINE_BYTES = 250_000
"""Longer messages are logged in parts. CloudWatch takes 1 MiB an event, and took 256 KiB until 2025; other readers take
less."""
DEFAULT_STARTUP_TIMEOUT_S = 600
"""Seconds that a replica may take to become ready, unless ``predictor.startup_timeout`` says otherwise."""
STOP_TIMEOUT_S = 60
"""Seconds that a task has to stop: requests are answered, then logs are sent."""
BALANCER_IDLE_TIMEOUT_S = 300
"""Seconds after which the load balancer closes an idle connection: predictions may take minutes."""
CONNECTION_IDLE_TIMEOUT_S = 4200
"""Seconds after which a replica closes an idle connection. Above the longest idle timeout that a load balancer can have
(4000 s): a connection that the load balancer still holds must not be closed under it, or requests fail with 502
(aws.md 2.3)."""

IMAGE_TAG_VARIABLE = "IMAGE_TAG"
"""Variable of an image build: the tag to build."""
IMAGE_REPOSITORY_VARIABLE = "IMAGE_REPOSITORY"
"""Variable of an image build: the address of the repository to push to."""
IMAGE_OPTIONS_VARIABLE = "BUILD_OPTIONS"
"""Variable of an image build: further options of ``docker build``, such as the images whose layers it may use again."""
CONTEXT_PROJECT = "project"
"""Folder of a build context with what the project installs from (``install.sh`` reads it)."""
CONTEXT_SERVING = "serving_image"
"""Folder of a build context with the serving program."""
CONTEXT_PYTHON_VERSION = f"{CONTEXT_PROJECT}/.python-version"
"""File of a build context with the version of Python that the project asks for."""
CONTEXT_RUNTIMES = f"{CONTEXT_SERVING}/runtimes.txt"
"""File of a build context with the packages that the predictor's type needs: on each line a module, a blank, and a
requirement that brings the module where it is missing."""
REQUIREMENTS_FILE = "requirements.txt"
CONDA_FILE = "conda-packages.txt"
DEPENDENCIES_SCRIPT = "dependencies.sh"
