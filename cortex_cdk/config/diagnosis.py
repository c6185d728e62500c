"""Builds models from the data of a document, and reports all problems together, each at its place.

Pydantic finds the wrong fields; this module words the messages. Rules between fields are checked even if some field is
wrong: wrong fields are taken out (required ones get a stand-in), and the rest is validated again. Rules about a field
that has a problem of its own are skipped, because their message would only follow from the first one.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cortex_cdk.config.document import Document, FieldPath, Place, written_path
from cortex_cdk.config.model import COLLECT, Conflict, Section, allowed, allowed_item, choices, is_list, section_type
from cortex_cdk.errors import Problem

SectionT = TypeVar("SectionT", bound=Section)

# Values that replace required fields that are wrong. Paths are without list positions.
_STAND_INS: Mapping[FieldPath, Any] = {
    ("name",): "stand-in",
    ("predictor",): {"type": "python", "path": "predictor.py"},
    ("predictor", "type"): "python",
    ("predictor", "path"): "predictor.py",
    ("predictor", "models", "paths", "name"): "stand-in",
    ("predictor", "models", "paths", "model_path"): "s3://stand-in/model",
    ("monitoring", "model_type"): "regression",
    ("apis", "name"): "stand-in",
    ("apis", "weight"): 0,
    ("instance_groups", "name"): "stand-in",
    ("instance_groups", "instance_types"): ["m7i-flex.large"],
}
# Taking out a field can make the section around it invalid, then the section around that.
_MOST_ROUNDS = 5
# Pydantic reports this for a default that depends on a wrong field. The wrong field's own problem is enough.
_CONSEQUENCES = ("default_factory_not_called",)


class Diagnosis:
    """The problems of one map of a document: one API, one splitter, or one cluster.

    Args:
        document: The document.
        at: Path of the map in the document.
        label: Name of the map in the paths of problems, such as the API's name; empty for a whole document.
    """

    def __init__(self, document: Document, at: FieldPath, label: str) -> None:
        self._document = document
        self._at = at
        self._label = label
        self._wrong: set[FieldPath] = set()
        self.problems: list[Problem] = []

    def validate(self, model: type[SectionT], *, assuming: Mapping[str, Any] | None = None) -> SectionT | None:
        """Build a model from the map, and add what is wrong with the map to ``problems``.

        Args:
            model: The class to build.
            assuming: Values for fields that are wrong and reported already.

        Returns:
            The model of the map's valid part, for further checks; None if too little is valid.
        """
        self._wrong.update((name,) for name in assuming or ())
        data = {**self._document.at(self._at), **(assuming or {})}
        found: SectionT | None
        try:
            found = model.model_validate(data, context=COLLECT)
        except ValidationError as error:
            details = _distinct(error)
            for detail in details:
                self._explain(model, detail)
            found = _survivor(model, data, details)
        for conflict in found.conflicts() if found else ():
            self._conflict(conflict)
        return found

    def sound(self, *paths: FieldPath) -> bool:
        """Return whether these fields, and all sections around and below them, are valid."""
        return not any(_overlap(path, wrong) for path in paths for wrong in self._wrong)

    def add(self, path: FieldPath, message: str, hint: str | None = None, *, at_key: bool = False) -> None:
        """Add a problem of the field at ``path`` (relative to the map); arguments as in ``problem``."""
        self.problems.append(self.problem(path, message, hint, at_key=at_key))

    def problem(self, path: FieldPath, message: str, hint: str | None = None, *, at_key: bool = False) -> Problem:
        """Return a problem (or warning) with the place of a field.

        Args:
            path: The field, relative to the map.
            message: What is wrong, completing "<field> ...".
            hint: What to do.
            at_key: Point at the field's key rather than at its value.
        """
        path = _as_written(path, self._document.at(self._at))
        full_path = (*self._at, *path)
        # Point at the key of a map or list: its value may begin some lines below.
        at_key = at_key or (self._document.has(full_path) and isinstance(self._document.at(full_path), dict | list))
        place: Place = (self._document.key_place if at_key else self._document.value_place)(full_path)
        full = written_path((self._label, *path)) if self._label else written_path(path)
        return Problem(self._document.file, place.line, place.column, full, message, hint)

    def wrote(self, path: FieldPath) -> bool:
        """Return whether the user gave the field at ``path`` a value other than ``null``."""
        own = (*self._at, *_as_written(path, self._document.at(self._at)))
        return self._document.has(own) and self._document.at(own) is not None

    def wrote_null(self, path: FieldPath) -> bool:
        """Return whether the user set the field at ``path`` to ``null``."""
        return self._document.has((*self._at, *path)) and not self.wrote(path)

    def _explain(self, model: type[Section], detail: ErrorDetails) -> None:
        loc = detail["loc"]
        kind = detail["type"]
        self._wrong.add(loc)
        section, field = _resolve(model, loc)
        if kind == "extra_forbidden":
            name = str(loc[-1])
            self.add(loc, "is not a field here", _nearest(name, section, loc[:-1]), at_key=True)
        elif kind == "missing":
            words = f" ({allowed(field)})" if field else ""
            self.add(loc, f"is required{words}", at_key=True)
        else:
            words = allowed(field) if field else "a map"
            if field and isinstance(loc[-1], int):
                words = allowed_item(field)
            self.add(loc, f"must be {words}, not {_shown(detail['input'])}", _nearest_choice(field, detail["input"]))

    def _conflict(self, conflict: Conflict) -> None:
        if not self.sound(*conflict.fields):
            return
        path = next((path for path in conflict.fields if self.wrote(path)), conflict.fields[0])
        self.add(path, conflict.message, conflict.hint)


def _distinct(error: ValidationError) -> list[ErrorDetails]:
    """Return the first error of each place: in a free-form map, both a key and its value can be wrong."""
    found: dict[FieldPath, ErrorDetails] = {}
    for detail in error.errors(include_url=False, include_context=False):
        if detail["type"] not in _CONSEQUENCES:
            loc = detail["loc"]
            if detail["type"] != "extra_forbidden" and loc[-1:] == ("[key]",):
                loc = loc[:-1]  # The key of a free-form map is wrong, not its value.
            found.setdefault(loc, {**detail, "loc": loc})
    return list(found.values())


def _survivor(model: type[SectionT], data: Any, details: list[ErrorDetails]) -> SectionT | None:
    """Take everything wrong out of the data and build the model; None if too little is left."""
    rest = copy.deepcopy(data)
    for _ in range(_MOST_ROUNDS):
        for detail in details:
            _take_out(rest, detail)
        try:
            return model.model_validate(rest, context=COLLECT)
        except ValidationError as error:
            details = _distinct(error)
    return None


def _take_out(data: Any, detail: ErrorDetails) -> None:
    loc = detail["loc"]
    path = _as_written(loc, data)
    stand_in = _STAND_INS.get(tuple(part for part in loc if isinstance(part, str)))
    if stand_in is None and detail["type"] == "missing":
        path = path[:-1]
    while path and isinstance(path[-1], int):  # Take out the whole list: without one item it means something else.
        path = path[:-1]
    if path:
        _replace(data, path, copy.deepcopy(stand_in))


def _replace(data: Any, path: FieldPath, stand_in: Any) -> None:
    for part in path[:-1]:
        data = data.get(part) if isinstance(data, dict) else data[part]
        if data is None:  # The section around the field is gone already, because it was wrong too.
            return
    if isinstance(data, dict):
        data.pop(path[-1], None)
        if stand_in is not None:
            data[path[-1]] = stand_in


def _as_written(path: FieldPath, data: Any) -> FieldPath:
    """Turn a path in the models into the path that the user wrote: a list of models (Cortex 0.21) means ``paths``."""
    written: list[str | int] = []
    for part in path:
        if isinstance(data, list) and isinstance(part, str):
            continue
        written.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        else:
            data = data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None
    return tuple(written)


def _resolve(model: type[Section], loc: FieldPath) -> tuple[type[Section], FieldInfo | None]:
    """Return the section that a place belongs to, and its field there if there is one."""
    section, field = model, None
    for index, part in enumerate(loc):
        if isinstance(part, int):
            continue
        known = section.model_fields.get(part)
        if known is None:
            # Inside a free-form map, the words of the map's own field explain; an unknown key has no field.
            return section, field if field and not section_type(field.annotation) else None
        field = known
        inner = section_type(field.annotation)
        if inner and any(isinstance(rest, str) for rest in loc[index + 1 :]):
            section = inner
    return section, field


def _nearest(name: str, section: type[Section], parents: FieldPath) -> str:
    fields = list(section.model_fields)
    close = difflib.get_close_matches(name.lower().replace("-", "_"), fields, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    elsewhere = next(_elsewhere(name, section), None)
    if elsewhere:
        return f"it belongs to {elsewhere}"
    *_, where = ("this map", *parents)
    if isinstance(where, int):  # an item is known by its list
        where = f"each of {parents[-2]}"
    return f"the fields of {where} are {', '.join(fields)}"


def _elsewhere(name: str, section: type[Section]) -> Iterator[str]:
    for key, field in section.model_fields.items():
        inner = section_type(field.annotation)
        if inner and name in inner.model_fields and not is_list(field.annotation):
            yield key


def _nearest_choice(field: FieldInfo | None, value: Any) -> str | None:
    known = choices(field.annotation) if field else ()
    if isinstance(value, str) and known:
        lowered = {choice.lower(): choice for choice in known}
        close = difflib.get_close_matches(value.lower(), list(lowered), n=1, cutoff=0.5)
        return f"did you mean {lowered[close[0]]}?" if close else None
    return None


def _shown(value: Any) -> str:
    """Word a value for a message: as JSON, cut after 60 characters."""
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _overlap(one: FieldPath, other: FieldPath) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
