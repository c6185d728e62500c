"""Loads ``cortex.yaml``: reads the file, validates each entry, the entries together, and the files that they name."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path

from cortex_serving.contract import CONFIG_FILE, REALTIME_API, TRAFFIC_SPLITTER
from cortex_serving.formats.env_file import read_env_file
from cortex_serving.formats.legacy_api import entry_label, modernize
from cortex_serving.formats.problem import FormatError

from cortex_cdk.config.checks.referenced_files import check_files
from cortex_cdk.config.checks.sizes import check_sizes
from cortex_cdk.config.checks.unsupported_fields import warnings, without_cortex_image
from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.document import Document, read_document, written_path
from cortex_cdk.config.realtime_api import MODELS, RealtimeApi, TrafficSplitter
from cortex_cdk.config.sections.secret_reference import SecretReference
from cortex_cdk.errors import ConfigError, Problem

# Kinds of the original, with what to do instead.
_GONE = {
    "BatchAPI": "keep batch jobs in a file of their own",
    "AsyncAPI": f"write {REALTIME_API} and let clients wait, or keep results in a store of your own",
    "TaskAPI": "keep tasks in a file of their own, and run them with AWS Batch or ECS",
}
_KIND_WORDS = f"{REALTIME_API} or {TRAFFIC_SPLITTER}"


@dataclass(frozen=True)
class Config:
    """A valid configuration file.

    Attributes:
        path: The file, absolute.
        project_root: The file's folder, which is the project.
        apis: The Realtime APIs, in the order of the file.
        splitters: The traffic splitters, in the order of the file.
        warnings: Fields that are accepted but have no effect, or another one than some readers expect.
    """

    path: Path
    project_root: Path
    apis: tuple[RealtimeApi, ...]
    splitters: tuple[TrafficSplitter, ...]
    warnings: tuple[Problem, ...]

    @property
    def resources(self) -> tuple[RealtimeApi | TrafficSplitter, ...]:
        """The APIs, then the splitters."""
        return (*self.apis, *self.splitters)

    @property
    def secret_references(self) -> tuple[SecretReference, ...]:
        """The secrets and parameters that all APIs name."""
        return tuple(each for api in self.apis for each in api.predictor.secret_references.values())


@dataclass(frozen=True)
class _Entry:
    resource: RealtimeApi | TrafficSplitter
    diagnosis: Diagnosis


def load_config(path: Path) -> Config:
    """Load and check a configuration file and the files that it names. Runs no code of the project.

    Args:
        path: The file, or a folder that holds ``cortex.yaml``.

    Returns:
        The configuration.

    Raises:
        ConfigError: All problems, in the order of the file.
        ProjectError: ``.cortexignore`` cannot be read.
    """
    file = path / CONFIG_FILE if path.is_dir() else path
    document = read_document(file)
    legacy = modernize(document)
    problems = [*(_named(problem, document) for problem in document.problems), *legacy.problems]
    entries = list(_entries(document, problems, legacy.hopeless))
    problems += _shared_names(entries)
    problems += _wrong_members(entries)
    for entry in entries:
        if isinstance(entry.resource, RealtimeApi):
            problems += check_files(entry.resource, entry.diagnosis, file)
            problems += check_sizes(entry.resource, entry.diagnosis)
    env_warnings: tuple[Problem, ...] = ()
    try:
        env_warnings = read_env_file(file.parent).warnings
    except FormatError as error:
        problems += error.problems
    if problems:
        raise ConfigError(sorted(dict.fromkeys(problems), key=lambda problem: _order(problem, file)))
    resources = [entry.resource for entry in entries]
    return Config(
        path=file.absolute(),
        project_root=file.absolute().parent,
        apis=tuple(without_cortex_image(resource) for resource in resources if isinstance(resource, RealtimeApi)),
        splitters=tuple(resource for resource in resources if isinstance(resource, TrafficSplitter)),
        warnings=(
            *legacy.warnings,
            *(warning for entry in entries for warning in warnings(entry.resource, entry.diagnosis)),
            *_words_as_booleans(document),
            *env_warnings,
        ),
    )


def _words_as_booleans(document: Document) -> Iterator[Problem]:
    """Warn about words of a predictor's ``config`` that are booleans in YAML 1.1, and text in YAML 1.2."""
    for path, word in document.booleans.items():
        if path[1:3] == ("predictor", "config"):
            place = document.value_place(path)
            label = entry_label(int(path[0]), document.data[path[0]])
            message = f"{word} means {str(document.at(path)).lower()}, as in Cortex"
            hint = f'write "{word}" if you mean text'
            yield Problem(document.file, place.line, place.column, written_path((label, *path[1:])), message, hint)


def _order(problem: Problem, file: Path) -> tuple[bool, str, int, int]:
    """Sort key: the configuration file before other files, each from top to bottom."""
    return problem.file != file, str(problem.file), problem.line or 0, problem.column or 0


def _entries(document: Document, problems: list[Problem], hopeless: Set[int]) -> Iterator[_Entry]:
    if not isinstance(document.data, list) or not document.data:
        place = document.value_place(())
        message = "must be a list of one or more APIs (each starting with '- name: ...')"
        hint = "put '- ' before the first field, and two spaces before the others"
        is_map = isinstance(document.data, dict)
        problems.append(Problem(document.file, place.line, place.column, "", message, hint if is_map else None))
        return
    for index, data in enumerate(document.data):
        if index in hopeless:
            continue
        diagnosis = Diagnosis(document, (index,), entry_label(index, data))
        resource = _resource(diagnosis, data)
        problems += diagnosis.problems
        if resource:
            yield _Entry(resource, diagnosis)


def _named(problem: Problem, document: Document) -> Problem:
    """Return the problem with the entry's name in its path instead of the entry's position."""
    for index, data in enumerate(document.data if isinstance(document.data, list) else ()):
        if problem.path.startswith(f"[{index}]"):
            return replace(problem, path=entry_label(index, data) + problem.path[len(f"[{index}]") :])
    return problem


def _resource(diagnosis: Diagnosis, data: object) -> RealtimeApi | TrafficSplitter | None:
    if not isinstance(data, dict):
        diagnosis.add((), "must be a map with name, kind and more")
        return None
    kind = data.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model:
        return diagnosis.validate(model)
    if isinstance(kind, str) and kind in _GONE:
        diagnosis.add(("kind",), f"{kind} is not supported; allowed are {_KIND_WORDS}", _GONE[kind])
        return None
    if kind is None:
        diagnosis.add(("kind",), f"is required ({_KIND_WORDS})", at_key=True)
    else:
        close = next((known for known in MODELS if str(kind).lower() == known.lower()), None)
        diagnosis.add(("kind",), f"must be {_KIND_WORDS}, not {kind!r}", f"did you mean {close}?" if close else None)
    if "apis" in data:
        return diagnosis.validate(TrafficSplitter, assuming={"kind": TRAFFIC_SPLITTER})
    return diagnosis.validate(RealtimeApi, assuming={"kind": REALTIME_API})


def _shared_names(entries: list[_Entry]) -> Iterator[Problem]:
    names: set[str] = set()
    endpoints: dict[str, str] = {}
    for entry in entries:
        name, endpoint = entry.resource.name, entry.resource.networking.endpoint
        if not entry.diagnosis.sound(("name",)):
            continue
        if name in names:
            message = f"there is another entry named {name}"
            yield entry.diagnosis.problem(("name",), message, "names must be unique")
        elif endpoint in endpoints and entry.diagnosis.sound(("networking",)):
            message = f"{endpoint} is the endpoint of {endpoints[endpoint]} already"
            yield entry.diagnosis.problem(("networking", "endpoint"), message, "choose another one")
        names.add(name)
        endpoints.setdefault(endpoint, name)


def _wrong_members(entries: list[_Entry]) -> Iterator[Problem]:
    splitters = {entry.resource.name for entry in entries if isinstance(entry.resource, TrafficSplitter)}
    for entry in entries:
        if not isinstance(entry.resource, TrafficSplitter):
            continue
        for index, variant in enumerate(entry.resource.apis):
            if variant.name in splitters - {entry.resource.name}:
                message = f"{variant.name} is a traffic splitter; members must be Realtime APIs"
                yield entry.diagnosis.problem(("apis", index, "name"), message)
