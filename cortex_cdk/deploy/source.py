"""Reads everything that is deployed from the user's folder: the configuration, the project, its dependencies."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from cortex_cdk.config import Config, load_config
from cortex_cdk.deploy.class_project import ClassOptions, TemporaryFolder, check_options, write_project
from cortex_cdk.errors import ProjectError
from cortex_cdk.project.archive import ProjectFiles, collect
from cortex_cdk.project.dependencies import NO_DEPENDENCIES, Dependencies, read_dependencies
from cortex_cdk.project.ignore_rules import IGNORE_FILE
from cortex_cdk.stack_operations.progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What is deployed.

    Attributes:
        config: The configuration.
        files: The project's files.
        dependencies: What the project installs.
        folder: Keeps the project of a class, which has no folder of the user's.
    """

    config: Config
    files: ProjectFiles
    dependencies: Dependencies
    folder: TemporaryFolder | None = None


def load_source(
    config: Config | Path | str | type, progress: Progress, *, strict: bool, of_class: ClassOptions | None = None
) -> Source:
    """Read what is to be deployed.

    Args:
        config: A configuration, its file, the folder of a ``cortex.yaml``, or a predictor class.
        progress: Hears of files that look like secrets.
        strict: Refuse a project with such files.
        of_class: What is said of a class.

    Raises:
        ConfigError: The configuration cannot be used.
        ProjectError: The project is not accepted.
    """
    check_options(config, of_class or {})
    folder = None
    if isinstance(config, type):
        folder = TemporaryFolder()
        loaded = write_project(config, of_class or {}, folder.path)
    else:
        loaded = config if isinstance(config, Config) else load_config(Path(config))
    project = collect(loaded.project_root, loaded.path)
    _name_secrets(project, progress, refuse=strict)
    is_built = any(api.predictor.image is None for api in loaded.apis)
    dependencies = read_dependencies(project) if is_built else NO_DEPENDENCIES
    for warning in dependencies.warnings:
        log.warning("%s", warning)
    return Source(loaded, project, dependencies, folder)


def _name_secrets(project: ProjectFiles, progress: Progress, *, refuse: bool) -> None:
    """Name the files that look like secrets, which every replica would get.

    Raises:
        ProjectError: There are some, and they are to be refused.
    """
    if not project.secrets:
        return
    named = ", ".join(project.secrets)
    hint = f"list in {IGNORE_FILE} what replicas do not need"
    if refuse:
        message = f"these files look like secrets, and every replica would get them: {named}"
        raise ProjectError(message, hint=f"{hint}, or deploy without --strict")
    progress.step("project", f"warning: these files look like secrets, and every replica gets them: {named} ({hint})")
