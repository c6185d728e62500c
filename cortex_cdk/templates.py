"""Starts projects from templates: the folders of ``examples/``, each a project that can be deployed as it is.

    template -> start_project -> a folder of the user's, whose API is named after the folder

A template is a folder with a ``cortex.yaml``: a new one needs no entry here. Its README begins with a title and one
paragraph, which says what the template shows.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from cortex_serving.contract import CONFIG_FILE, LIVE_PATH, READY_PATH

from cortex_cdk.config.json_schema import api_file_schema
from cortex_cdk.config.realtime_api import LONGEST_NAME
from cortex_cdk.errors import CortexError
from cortex_cdk.project.archive import refuse_top_level

DEFAULT_TEMPLATE = "python"
README = "README.md"
SCHEMA_FILE = ".cortex/cortex.schema.json"
"""Where a project has the JSON Schema of its configuration: hidden, so that the file is not packed."""
SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
"""By which editors with the YAML language server (VS Code, Neovim, Emacs) find the schema, without a network."""

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Template:
    """A project to start from.

    Attributes:
        name: Name of the template.
        folder: Where its files are.
    """

    name: str
    folder: Path

    @property
    def summary(self) -> str:
        """What the template shows, in one line: the first paragraph of its README."""
        paragraph = (self.folder / README).read_text(encoding="utf-8").split("\n\n")[1]
        return " ".join(paragraph.split()).removesuffix(".")

    @property
    def api_names(self) -> tuple[str, ...]:
        """The names in its configuration. The last is the name by which clients know the project; others begin so."""
        entries = yaml.safe_load((self.folder / CONFIG_FILE).read_text(encoding="utf-8"))
        return tuple(entry["name"] for entry in entries)

    def files(self) -> dict[str, Path]:
        """Path in the project -> file."""
        found = {path.relative_to(self.folder): path for path in sorted(self.folder.rglob("*")) if path.is_file()}
        # What tests and editors leave behind in a checkout.
        return {
            name.as_posix(): path
            for name, path in found.items()
            if not any(part.startswith((".", "__pycache__")) for part in name.parts[:-1])
        }


@dataclass(frozen=True)
class StartedProject:
    """A new project.

    Attributes:
        template: Name of its template.
        folder: Where it is, absolute.
        name: The name of its API; of its traffic splitter, where it has one.
        files: The files that were written, by their paths in the project.
    """

    template: str
    folder: Path
    name: str
    files: tuple[str, ...]


def templates() -> dict[str, Template]:
    """Return all templates by name, the default one first.

    In a checkout they lie in ``examples/`` beside the package; in an installed wheel they lie in ``_templates``.
    """
    beside = _PACKAGE.parent / "examples"
    source = _PACKAGE / "_templates" if (_PACKAGE / "_templates").is_dir() else beside
    names = sorted(path.parent.name for path in source.glob(f"*/{CONFIG_FILE}"))
    names.sort(key=lambda name: name != DEFAULT_TEMPLATE)
    return {name: Template(name, source / name) for name in names}


def start_project(template: Template, folder: Path) -> StartedProject:
    """Copy a template into a folder, and name its API after the folder.

    Args:
        template: The template.
        folder: Where to; it is made if it does not exist, and may have files of other names.

    Raises:
        ProjectError: The folder can never be a project.
        CortexError: A file of the template's is there already, or cannot be written. Nothing was written.
    """
    folder = folder.resolve()
    refuse_top_level(folder)
    own = template.api_names
    name = _api_name(folder.name, LONGEST_NAME - (max(map(len, own)) - len(own[-1]))) or own[-1]
    contents = {path: _content(path, file, own[-1], name) for path, file in template.files().items()}
    contents[SCHEMA_FILE] = json.dumps(api_file_schema(), indent=2).encode() + b"\n"
    _refuse_to_overwrite(folder, template.name, contents)
    _write(folder, contents)
    return StartedProject(template.name, folder, name, tuple(contents))


def _api_name(text: str, longest: int) -> str:
    """Return the name of an API that is most like a text; empty where none is."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", letters).lstrip("-0123456789")[:longest].rstrip("-")
    # The load balancer asks replicas at these paths.
    return "" if f"/{name}" in (LIVE_PATH, READY_PATH) else name


def _content(path: str, file: Path, own_name: str, name: str) -> bytes:
    """Return a file's content. The configuration and its explanation have the project's name for the template's."""
    content = file.read_bytes()
    if path not in (CONFIG_FILE, README):
        return content
    text = content.decode().replace(own_name, name)
    return (SCHEMA_LINE + text if path == CONFIG_FILE else text).encode()


def _refuse_to_overwrite(folder: Path, template: str, contents: Mapping[str, bytes]) -> None:
    there = [path for path in contents if os.path.lexists(folder / path)]
    # A file where a folder is to be.
    around = {str(parent) for path in contents for parent in Path(path).parents if (folder / parent).is_file()}
    if taken := [*there, *sorted(around)]:
        what = "is a file" if "." in around else f"has {', '.join(taken)} already"
        hint = f"name another folder: cortex init {template} FOLDER"
        raise CortexError(f"{folder} {what}, and nothing is overwritten", hint=hint)


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files or none."""
    written: list[Path] = []
    try:
        for path, content in contents.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as stream:
                written.append(target)
                stream.write(content)
    except OSError as error:
        for target in written:
            target.unlink(missing_ok=True)
        raise CortexError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
