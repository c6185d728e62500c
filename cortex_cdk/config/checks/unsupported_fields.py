"""Warns about fields of the original Cortex that ECS cannot honour, and says what happens instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cortex_cdk.config.checks.memory import too_little_memory
from cortex_cdk.config.checks.referenced_files import is_pickle
from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.realtime_api import RealtimeApi, TrafficSplitter
from cortex_cdk.errors import Problem
from cortex_cdk.project.dependencies import INSTALLED

_PERIODS = "is ignored: Application Auto Scaling has its own periods; the stabilization periods are honoured"
_FACTORS = "is ignored: Application Auto Scaling computes the step; min_replicas and max_replicas bound it"
_TOLERANCES = "is ignored: target tracking scales out above the target and in when well below it"

IGNORED: dict[tuple[str, str], str] = {
    ("networking", "local_port"): "is ignored: APIs share the load balancer's port in the local cloud too",
    ("networking", "api_gateway"): "is ignored: there is no API Gateway; requests go straight to the load balancer",
    ("predictor", "tensorflow_serving_image"): "is ignored: models are served in the replica's own process",
    ("autoscaling", "window"): _PERIODS,
    ("autoscaling", "max_downscale_factor"): _FACTORS,
    ("autoscaling", "max_upscale_factor"): _FACTORS,
    ("autoscaling", "downscale_tolerance"): _TOLERANCES,
    ("autoscaling", "upscale_tolerance"): _TOLERANCES,
}
# The published images of the original start its own web server.
_CORTEX_IMAGES = ("cortexlabs/", "quay.io/cortexlabs/", "docker.io/cortexlabs/")


def warnings(resource: RealtimeApi | TrafficSplitter, diagnosis: Diagnosis) -> Iterator[Problem]:
    """Yield a warning for each field that the user set and that has no effect."""
    for path, message in IGNORED.items():
        if diagnosis.wrote(path):
            yield diagnosis.problem(path, message, at_key=True)
    if isinstance(resource, RealtimeApi):
        if diagnosis.wrote_null(("compute", "cpu")):
            yield diagnosis.problem(
                ("compute", "cpu"), "ECS needs a CPU share to place replicas; the default of 200m is used", at_key=True
            )
        yield from _small_batches(resource, diagnosis)
        yield from too_little_memory(resource, diagnosis)
        if is_pickle(resource.predictor.path):
            message = (
                "a pickled predictor cannot be checked before it runs, and needs dill and the Python that wrote it"
            )
            yield diagnosis.problem(("predictor", "path"), message, "put the class into a Python file")
        if _is_cortex_image(resource.predictor.image):
            yield diagnosis.problem(
                ("predictor", "image"),
                "is ignored: images of the original Cortex cannot serve here; an image is built instead",
                at_key=True,
            )
        elif resource.predictor.image:
            yield from _without_dependencies(diagnosis)


def _small_batches(api: RealtimeApi, diagnosis: Diagnosis) -> Iterator[Problem]:
    """Warn about batches of calls that cannot get full: a batch consists of calls of different threads."""
    predictor, batching = api.predictor, api.predictor.server_side_batching
    if batching and predictor.kind.batches_calls and batching.max_batch_size > predictor.threads_per_process:
        message = f"only {predictor.threads_per_process} calls of the client can run together: one of each thread"
        hint = f"set threads_per_process to {batching.max_batch_size}"
        yield diagnosis.problem(("predictor", "server_side_batching", "max_batch_size"), message, hint)


def _without_dependencies(diagnosis: Diagnosis) -> Iterator[Problem]:
    problem = diagnosis.problem(("predictor", "image"), "", at_key=True)
    found = [name for name in INSTALLED if (problem.file.parent / name).is_file()]
    if found:
        yield replace(problem, message=f"is used as it is: {' and '.join(found)} will not be installed")


def without_cortex_image(api: RealtimeApi) -> RealtimeApi:
    """Return the API without its image if the image is one that the original Cortex published."""
    if not _is_cortex_image(api.predictor.image):
        return api
    return api.model_copy(update={"predictor": api.predictor.model_copy(update={"image": None})})


def _is_cortex_image(image: str | None) -> bool:
    return image is not None and image.startswith(_CORTEX_IMAGES)
