"""Reads YAML into data that remembers the line and column of every key and value.

PyYAML's ``compose`` returns nodes with marks; one walk turns the nodes into dictionaries, lists and scalars and notes
their places. The walk also reports everything that no configuration can mean (duplicate keys, keys that are not text,
tags, values that JSON cannot carry), so that the models see nothing but data as in JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cortex_serving.formats.problem import FormatError, Problem
from cortex_serving.formats.yaml_scalars import AMBIGUOUS, ScalarLoader, free_form_value, is_word

FieldPath = tuple[str | int, ...]
"""The path of a value in a document: keys and list positions, from the top."""

_MERGE = "tag:yaml.org,2002:merge"
_FREE_FORM = ("predictor", "config")  # the map of an entry whose values have no type
_STRING = "tag:yaml.org,2002:str"
# A few lines whose aliases name each other can stand for millions of values ("billion laughs").
_MOST_VALUES = 50_000
# No configuration is as large, and a parser still takes no noticeable time.
_MOST_BYTES = 4 * 2**20

# Parts of PyYAML's messages, with the mistake that causes them most often.
_YAML_HINTS = {
    "\\t": "indent with spaces",
    "mapping values are not allowed": "put text that has ': ' in it in quotes, and each field on a line of its own",
    "expected <block end>": "fields of one section start in the same column",
    "found undefined alias": "put text that starts with * in quotes",
}


@dataclass(frozen=True)
class Place:
    """A line and column of a text, both counted from 1."""

    line: int
    column: int


@dataclass
class Document:
    """A parsed YAML file.

    Attributes:
        file: The file.
        data: Dictionaries, lists and scalars as in JSON.
        problems: Everything in the file that no configuration may contain.
        booleans: Paths of booleans that are written as words, such as ``no``, with the words.
    """

    file: Path
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    booleans: dict[FieldPath, str] = field(default_factory=dict)
    _keys: dict[FieldPath, Place] = field(default_factory=dict)
    _values: dict[FieldPath, Place] = field(default_factory=dict)

    def at(self, path: FieldPath) -> Any:
        """Return the value at a path, which must exist."""
        value = self.data
        for part in path:
            value = value[part]
        return value

    def has(self, path: FieldPath) -> bool:
        """Return whether the user wrote a value at this path (``null`` counts)."""
        return path in self._values

    def key_place(self, path: FieldPath) -> Place:
        """Return the place of a value's key (of the value itself, for list items and the whole file)."""
        return self._keys.get(path) or self.value_place(path)

    def value_place(self, path: FieldPath) -> Place:
        """Return the place where a value starts; for a missing value, the place of the nearest one around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self._values:
                missing = length < len(path)
                return (
                    self.key_place(path[:length])
                    if missing and path[:length] in self._keys
                    else self._values[path[:length]]
                )
        return Place(1, 1)

    def copy(self, old: FieldPath, new: FieldPath) -> None:
        """Copy a value and all places in it to a path whose parent exists."""
        self.at(new[:-1])[new[-1]] = self.at(old)
        for places in (self._keys, self._values):
            for path in [path for path in places if path[: len(old)] == old]:
                copied = (*new, *path[len(old) :])
                places[copied] = places[path]

    def move(self, old: FieldPath, new: FieldPath) -> None:
        """Move a value and all places in it to a path whose parent exists."""
        self.copy(old, new)
        del self.at(old[:-1])[old[-1]]


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Args:
        file: The file.

    Returns:
        The document; ``problems`` says what is wrong inside.

    Raises:
        FormatError: The file cannot be read, is not UTF-8, is empty, or is not YAML, with the place of the first fault.
    """
    text = _read(file)
    try:
        node = yaml.compose(text, Loader=ScalarLoader)
    except yaml.MarkedYAMLError as error:
        raise FormatError([_syntax_problem(file, error)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"character U+{error.character:04X} is not allowed in YAML"
        raise FormatError([Problem(file, line, None, "", reason, "save the file as plain UTF-8 text")]) from None
    except RecursionError:
        raise FormatError([Problem(file, None, None, "", "the file is nested too deeply")]) from None
    if node is None:
        raise FormatError([Problem(file, 1, 1, "", "the file is empty", "start with '- name: ...'")])
    document = Document(file)
    document.data = _Builder(document).build(node, ())
    return document


def _read(file: Path) -> str:
    try:
        if not file.is_file():
            reason = "is not a file" if file.exists() else "does not exist"
            hint = "name a configuration file, or the folder that it is in"
            raise FormatError([Problem(file, None, None, "", reason, hint)])
        if file.stat().st_size > _MOST_BYTES:
            raise FormatError([Problem(file, None, None, "", f"is larger than {_MOST_BYTES // 2**20} MiB")])
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise FormatError([Problem(file, line, None, "", "is not UTF-8 text", "save the file as UTF-8")]) from None
    except OSError as error:
        raise FormatError([Problem(file, None, None, "", f"cannot be read: {error.strerror}")]) from None


def _syntax_problem(file: Path, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    reason = " ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for sign, hint in _YAML_HINTS.items() if sign in reason), None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return Problem(file, line, column, "", f"is not valid YAML: {reason}", hint)


class _Builder:
    """Turns YAML nodes into data, and notes their places in the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._scalars = ScalarLoader("")
        self._open: set[int] = set()
        self._count = 0

    def build(self, node: yaml.Node, path: FieldPath) -> Any:
        self._document._values[path] = _place(node)
        self._count += 1
        if self._count > _MOST_VALUES or id(node) in self._open:
            reason = (
                "contains itself" if id(node) in self._open else f"the file stands for more than {_MOST_VALUES} values"
            )
            raise FormatError([self._problem(node, path, reason)])
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                result = {**self._merged(value, path), **result}
        written: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            name = self._key(key, path)
            if name is None:
                continue
            own = (*path, name)
            if name in written:
                first = written[name].start_mark.line + 1
                self._add(key, own, f"is written twice; the first one is in line {first}", "keep one of them")
                continue
            written[name] = key
            self._forget(own)
            self._document._keys[own] = _place(key)
            result[name] = self.build(value, own)
        self._document._values[path] = _place(node)  # A merged map has left its own place here.
        return result

    def _merged(self, node: yaml.Node, path: FieldPath) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in reversed(parts):  # The first of several maps wins (YAML merge key specification).
            if isinstance(part, yaml.MappingNode):
                result.update(self.build(part, path))
            else:
                self._add(part, (*path, "<<"), "must name a map, or a list of maps")
        return result

    def _key(self, key: yaml.Node, path: FieldPath) -> str | None:
        if isinstance(key, yaml.ScalarNode):
            if key.tag in (_STRING, AMBIGUOUS):
                return str(key.value)
            self._add(key, path, f"the key {key.value!r} is not text", "put it in quotes")
        else:
            self._add(key, path, "a key must be text, not a list or a map")
        return None

    def _forget(self, path: FieldPath) -> None:
        """Drop the places below a merged value that an explicit value replaces."""
        if path in self._document._values:
            for places in (self._document._values, self._document._keys):
                for known in [known for known in places if known[: len(path)] == path]:
                    del places[known]

    def _scalar(self, node: yaml.Node, path: FieldPath) -> Any:
        if node.tag == _MERGE:
            return str(node.value)
        try:
            if node.tag == AMBIGUOUS:
                value = free_form_value(node.value) if path[1:3] == _FREE_FORM else str(node.value)
            else:
                value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            self._add(node, path, f"{node.value!r} with the tag {node.tag!r} cannot be read", "remove the tag")
            return None
        if isinstance(value, bool) and is_word(str(node.value)):
            self._document.booleans[path] = str(node.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._add(node, path, f"must be a finite number, not {node.value}")
        elif isinstance(value, str) and not value.isprintable() and _has_surrogates(value):
            self._add(node, path, "contains half of a surrogate pair, which is no character")
        elif not isinstance(value, str | int | float | type(None)):
            self._add(node, path, f"values of type {node.tag.rsplit(':', 1)[-1]} are not allowed", "write it as text")
            return None
        return value

    def _add(self, node: yaml.Node, path: FieldPath, message: str, hint: str | None = None) -> None:
        self._document.problems.append(self._problem(node, path, message, hint))

    def _problem(self, node: yaml.Node, path: FieldPath, message: str, hint: str | None = None) -> Problem:
        place = _place(node)
        return Problem(self._document.file, place.line, place.column, written_path(path), message, hint)


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def written_path(path: FieldPath) -> str:
    """Word a path for people: ``predictor.models.paths[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
