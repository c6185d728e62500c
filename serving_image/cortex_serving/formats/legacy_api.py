"""Reads ``cortex.yaml`` of every version of the original Cortex (0.18 to 0.42): moves its fields to those of today.

A field with a counterpart moves there, one without any effect here is taken out with a warning, and one that an API
cannot do without becomes a problem that says what to write instead (``docs/from-cortex.md`` has a table). Source: the
original's pages on configuration, https://github.com/cortexlabs/cortex (``docs/`` of the tags v0.18.0 to v0.42.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_serving.contract import (
    CONDA_FILE,
    DEPENDENCIES_SCRIPT,
    REALTIME_API,
    REQUIREMENTS_FILE,
    TRAFFIC_SPLITTER,
)
from cortex_serving.formats.problem import Problem
from cortex_serving.formats.yaml_document import Document, FieldPath, written_path

# The fields of an API before there was a kind (0.18).
_WITHOUT_KIND = {"name", "predictor", "networking", "compute", "monitoring", "autoscaling", "update_strategy"}
# Fields of ``predictor.dependencies`` (0.31 to 0.35), with the only files that are installed here.
_DEPENDENCY_FILES = {"pip": REQUIREMENTS_FILE, "conda": CONDA_FILE, "shell": DEPENDENCIES_SCRIPT}
_INSTEAD_OF_PIP = f"name {{file}} in {REQUIREMENTS_FILE}, with a line '-r {{file}}'"

_POD = "is of Cortex 0.36 and later, which ran containers: here a Predictor class answers requests"
_POD_HINT = "write predictor with type and path, and your model's code into a class"
_GRPC = "is of Cortex's gRPC server, which is not here: APIs answer HTTP"
_GRPC_HINT = "remove it, and answer JSON or bytes"
_MIRROR = "is left out: a load balancer of AWS cannot send copies of requests, so it gets none of them"
_GROUPS = "is ignored: replicas run on the instance groups where they fit"
_NO_CACHE = "is ignored: an only model is always kept"


@dataclass
class Modernized:
    """What was found in a file of the original.

    Attributes:
        problems: Fields that have no counterpart here.
        warnings: Fields without effect, which were taken out.
        hopeless: Positions of entries that are not worth further checks.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    hopeless: set[int] = field(default_factory=set)


def modernize(document: Document) -> Modernized:
    """Move the fields of the original's versions, in place. A file with none of them stays as it is.

    Args:
        document: The file.
    """
    found = Modernized()
    for index, entry in enumerate(document.data if isinstance(document.data, list) else ()):
        if isinstance(entry, dict):
            _Entry(document, index, entry, found).modernize()
    return found


def entry_label(index: int, data: object) -> str:
    """Return how messages name an entry: its name, or its position."""
    name = data.get("name") if isinstance(data, Mapping) else None
    return name if isinstance(name, str) and name else f"[{index}]"


class _Entry:
    """One API or splitter of the file."""

    def __init__(self, document: Document, index: int, data: dict[str, Any], found: Modernized) -> None:
        self._document = document
        self._index = index
        self._data = data
        self._found = found

    def modernize(self) -> None:
        if self._data.get("kind") not in (REALTIME_API, TRAFFIC_SPLITTER, None):
            return  # a kind that is not here, or a mistake
        if "pod" in self._data:
            self._give_up(("pod",), _POD, _POD_HINT)
            return
        self._add_kind()
        self._rename_handler()
        for path in (("node_groups",), ("compute", "node_groups")):
            self._ignore(path, _GROUPS)
        self._rename_target()
        predictor = self._data.get("predictor")
        if isinstance(predictor, dict):
            if predictor.get("protobuf_path") is not None:
                self._give_up(("predictor", "protobuf_path"), _GRPC, _GRPC_HINT)
                return
            self._models(predictor)
            self._dependencies(predictor)
        if isinstance(self._data.get("apis"), list):
            self._shadows(self._data["apis"])

    def _add_kind(self) -> None:
        """Before 0.19 there was one kind, and no field for it."""
        old = "predictor" in self._data and self._data.keys() <= _WITHOUT_KIND
        if old or ("handler" in self._data and "kind" not in self._data):
            self._data["kind"] = REALTIME_API
            self._warn(("kind",), f"is missing: {REALTIME_API} is meant, as in Cortex 0.18")

    def _rename_handler(self) -> None:
        """``handler`` of 0.34 and 0.35 is ``predictor``; both know the class ``Handler``."""
        if "handler" not in self._data:
            return
        if "predictor" in self._data:
            self._refuse(("handler",), "is the name of predictor in Cortex 0.34 and 0.35", "keep one of them")
            del self._data["handler"]
        else:
            self._move(("handler",), ("predictor",))

    def _rename_target(self) -> None:
        """``target_in_flight`` of 0.36 and later is ``target_replica_concurrency``."""
        scaling = self._data.get("autoscaling")
        if isinstance(scaling, dict) and "target_in_flight" in scaling and "target_replica_concurrency" not in scaling:
            self._move(("autoscaling", "target_in_flight"), ("autoscaling", "target_replica_concurrency"))

    def _models(self, predictor: dict[str, Any]) -> None:
        old: FieldPath = ("predictor", "multi_model_reloading")
        if predictor.get("models") is None and predictor.get("multi_model_reloading") is not None:
            self._move(old, ("predictor", "models"))
        elif predictor.pop("multi_model_reloading", None) is not None:
            self._refuse(old, "is the name of models in Cortex 0.25 to 0.35", "keep one of them")
        models = predictor.get("models")
        if not isinstance(models, dict):
            return
        for place, model in enumerate(models["paths"] if isinstance(models.get("paths"), list) else ()):
            if isinstance(model, dict) and "path" in model and "model_path" not in model:
                at: FieldPath = ("predictor", "models", "paths", place)
                self._move((*at, "path"), (*at, "model_path"))
        others = [f"models.{name}" for name in ("paths", "dir") if models.get(name) is not None]
        others += ["model_path"] if predictor.get("model_path") is not None else []
        if models.get("path") is None:
            models.pop("path", None)
        elif others:
            self._refuse(
                ("predictor", "models", "path"), f"cannot be used together with {others[0]}", "keep one of them"
            )
            del models["path"]
        else:
            self._only_model(predictor, models)

    def _only_model(self, predictor: dict[str, Any], models: dict[str, Any]) -> None:
        """``models.path`` (0.25 and later) is ``model_path``."""
        for old, new in (("path", "model_path"), ("signature_key", "signature_key")):
            if old in models and predictor.get(new) is None:
                self._move(("predictor", "models", old), ("predictor", new))
        for name in ("cache_size", "disk_cache_size"):
            self._ignore(("predictor", "models", name), _NO_CACHE)
        if not models:
            del predictor["models"]

    def _dependencies(self, predictor: dict[str, Any]) -> None:
        files = predictor.get("dependencies")
        if files is not None and not (isinstance(files, dict) and files.keys() <= _DEPENDENCY_FILES.keys()):
            names = ", ".join(_DEPENDENCY_FILES.values())
            self._refuse(
                ("predictor", "dependencies"), "must be a map of pip, conda and shell", f"remove it: {names} count"
            )
            del predictor["dependencies"]
            return
        if files is None:
            return
        for name, only in _DEPENDENCY_FILES.items():
            file = files.get(name)
            if file is None or (isinstance(file, str) and file.removeprefix("./") == only):
                files.pop(name, None)
                continue
            message = f"must be {only}: all APIs of a file share the dependencies of its folder"
            hint = _INSTEAD_OF_PIP.format(file=file) if name == "pip" else f"rename {file} to {only}"
            self._refuse(("predictor", "dependencies", name), message, hint)
            files.pop(name)
        if not files:
            del predictor["dependencies"]

    def _shadows(self, apis: list[Any]) -> None:
        before = len(apis)
        for place in reversed(range(before)):
            member = apis[place]
            if not isinstance(member, dict) or "shadow" not in member:
                continue
            shadow = member.pop("shadow")
            if not isinstance(shadow, bool | None):
                self._refuse(("apis", place, "shadow"), "must be true or false", "remove it: shadows get no requests")
            elif shadow:
                self._warn(("apis", place), _MIRROR, label=f"apis[{place}] ({member.get('name')}, shadow)")
                for later in range(place + 1, len(apis)):
                    self._document.copy(self._full("apis", later), self._full("apis", later - 1))
                del apis[-1]
        if len(apis) == 1 and before > 1:
            message = "has one member without its shadow, and a load balancer of AWS cannot send copies of requests"
            self._give_up(("apis",), message, "call this member itself, or name another one")

    def _move(self, old: FieldPath, new: FieldPath) -> None:
        self._document.move(self._full(*old), self._full(*new))

    def _ignore(self, path: FieldPath, message: str) -> None:
        parent: Any = self._data
        for part in path[:-1]:
            parent = parent.get(part) if isinstance(parent, dict) else None
        if isinstance(parent, dict) and path[-1] in parent:
            if parent[path[-1]] is not None:
                self._warn(path, message)
            del parent[path[-1]]

    def _give_up(self, path: FieldPath, message: str, hint: str) -> None:
        self._refuse(path, message, hint)
        self._found.hopeless.add(self._index)

    def _refuse(self, path: FieldPath, message: str, hint: str) -> None:
        self._found.problems.append(self._problem(path, message, hint))

    def _warn(self, path: FieldPath, message: str, label: str | None = None) -> None:
        self._found.warnings.append(self._problem(path, message, None, label))

    def _problem(self, path: FieldPath, message: str, hint: str | None, label: str | None = None) -> Problem:
        place = self._document.key_place(self._full(*path))
        name = entry_label(self._index, self._data)
        written = f"{name}.{label}" if label else written_path((name, *path))
        return Problem(self._document.file, place.line, place.column, written, message, hint)

    def _full(self, *path: str | int) -> FieldPath:
        return (self._index, *path)
