"""Warns about a ``compute.mem`` that cannot be enough: the replica would be killed when it starts."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.errors import Problem

# MiB, measured with psutil (unique set size) on Python 3.11, x86-64: a replica of a predictor without any import, and
# what the import alone of a package adds to each process. Lower bounds: models and requests come on top.
_SUPERVISOR = 15
_PROCESS = 20
_PACKAGES = {"numpy": 8, "onnxruntime": 28, "pandas": 45, "sklearn": 100, "torch": 150, "tensorflow": 170}
_RUNTIMES = {"onnx": "onnxruntime", "tensorflow": "tensorflow"}


def too_little_memory(api: RealtimeApi, diagnosis: Diagnosis) -> Iterator[Problem]:
    """Yield a warning if a replica needs more memory than its limit before it has loaded anything.

    Args:
        api: The API.
        diagnosis: Knows the places of its fields.
    """
    limit = api.compute.memory_mib
    if limit is None:
        return
    place = diagnosis.problem(("compute", "mem"), "")
    packages = _imported(api, place) | {_RUNTIMES.get(api.predictor.type, "")}
    largest = max(packages & _PACKAGES.keys(), key=lambda name: _PACKAGES[name], default=None)
    processes = api.predictor.processes_per_replica
    needed = _SUPERVISOR + processes * (_PROCESS + _PACKAGES.get(largest or "", 0))
    if limit < needed:
        what = f"the serving program and {largest}" if largest else "the serving program"
        each = f" in {processes} processes" if processes > 1 else ""
        message = f"is too small: {what} alone take about {needed} MiB{each}, and replicas that need more are killed"
        yield diagnosis.problem(("compute", "mem"), message, "add what the model needs, and set compute.mem to the sum")


def _imported(api: RealtimeApi, place: Problem) -> set[str]:
    """Return the packages that the predictor's file imports, anywhere in it."""
    try:
        tree = ast.parse((place.file.parent / api.predictor.path).read_bytes())
    except (OSError, SyntaxError, ValueError):  # a pickled class
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
