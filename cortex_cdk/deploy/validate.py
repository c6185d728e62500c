"""Checks everything that needs no cloud, and says what would be deployed: ``cortex validate``.

    configuration, project, dependencies -> Validation

The checks are those of ``cortex deploy``. That stops at the first part which cannot be used; here all parts are looked
at, so that everything is found at once. Nothing is written, sent or run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cortex_serving.contract import CONFIG_FILE

from cortex_cdk.config import Config, load_config
from cortex_cdk.deploy.images import Flavour
from cortex_cdk.errors import ConfigError, Problem, ProjectError
from cortex_cdk.project import pickled_names
from cortex_cdk.project.archive import ProjectFiles, survey
from cortex_cdk.project.dependencies import NO_DEPENDENCIES, Dependencies, read_dependencies
from cortex_cdk.project.ignore_rules import IGNORE_FILE

Part = TypeVar("Part")
_NOT_NEEDED = f"list it in {IGNORE_FILE} if replicas do not need it"


@dataclass(frozen=True)
class Image:
    """An image that replicas would run in.

    Attributes:
        apis: Names of the APIs that would run in it.
        reference: The user's own image; None for one that is built.
        python: The Python that the project asks for; None takes the base image's, or conda's.
        base_image: What it is built on; None takes Debian with Python.
        gpu: Whether packages are installed for CUDA.
        files: The files that say what is installed.
        packages: The packages that these files and the types of the predictors ask for.
    """

    apis: tuple[str, ...]
    reference: str | None = None
    python: str | None = None
    base_image: str | None = None
    gpu: bool = False
    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What was found.

    Attributes:
        path: The configuration file.
        errors: Everything that ``cortex deploy`` would refuse.
        warnings: What it would only say.
        config: The configuration; None if it cannot be used.
        project: The files that would be packed; None if the folder cannot be used.
        images: What replicas would run in.
        left_to_deploy: What only a cluster can tell, which ``cortex deploy`` checks.
    """

    path: Path
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    config: Config | None
    project: ProjectFiles | None
    images: tuple[Image, ...]
    left_to_deploy: tuple[str, ...]


def validate(path: Path, *, strict: bool) -> Validation:
    """Check a configuration and its project.

    Args:
        path: The configuration file, or the folder of a ``cortex.yaml``.
        strict: Whether warnings are errors.
    """
    file = path / CONFIG_FILE if path.is_dir() else path
    errors: list[Problem] = []
    warnings: list[Problem] = []
    config = _attempt(lambda: load_config(file), file, errors)
    # Without the file, its folder may be anything.
    surveyed = _attempt(lambda: survey(file.absolute().parent, file), file, errors) if file.is_file() else None
    project, obstacles = surveyed or (None, ())
    errors += [_obstacle(error, file) for error in obstacles]
    is_built = config is None or any(api.predictor.image is None for api in config.apis)
    dependencies = _attempt(lambda: read_dependencies(project), file, errors) if project and is_built else None
    warnings += config.warnings if config else ()
    warnings += dependencies.warnings if dependencies else ()
    warnings += _about_files(project, file.parent) if project else ()
    errors = list(dict.fromkeys(errors))
    return Validation(
        path=file,
        errors=tuple([*errors, *warnings] if strict else errors),
        warnings=() if strict else tuple(warnings),
        config=config,
        project=project,
        images=tuple(_images(config, dependencies or NO_DEPENDENCIES)) if config else (),
        left_to_deploy=tuple(_left_to_deploy(config)) if config else (),
    )


def _attempt(read: Callable[[], Part], file: Path, errors: list[Problem]) -> Part | None:
    """Read a part of the project; where the part cannot be used, note why and return None."""
    try:
        return read()
    except ConfigError as error:
        errors += error.problems
    except ProjectError as error:
        errors.append(_obstacle(error, file))
    return None


def _obstacle(error: ProjectError, file: Path) -> Problem:
    return Problem(file.parent, None, None, "", "; ".join([error.message, *error.details]), error.hint)


def _about_files(project: ProjectFiles, folder: Path) -> Iterator[Problem]:
    for name in project.secrets:
        message = "looks like a secret, and every replica would get the file"
        yield Problem(folder / name, None, None, "", message, _NOT_NEEDED)
    for file in project.files:
        missing = pickled_names.names_of_main(file.source) if file.source.suffix in pickled_names.ENDINGS else []
        if missing:
            message = f"needs {', '.join(missing)}, which a notebook or script has defined (__main__): replicas do not"
            yield Problem(folder / file.name, None, None, "", message, pickled_names.TO_DO)
    for warning in project.warnings:
        yield Problem(folder, None, None, "", warning)


def _images(config: Config, dependencies: Dependencies) -> Iterator[Image]:
    own: dict[str, list[str]] = {}
    built: dict[Flavour, list[str]] = {}
    for api in config.apis:
        if api.predictor.image:
            own.setdefault(api.predictor.image, []).append(api.name)
        else:
            built.setdefault(Flavour.of(api), []).append(api.name)
    yield from (Image(tuple(apis), reference=reference) for reference, apis in own.items())
    for flavour, apis in built.items():
        runtimes = [line for each in flavour.runtimes for line in each.lines(gpu=flavour.gpu)]
        yield Image(
            apis=tuple(apis),
            python=dependencies.python,
            base_image=flavour.base_image,
            gpu=flavour.gpu,
            files=tuple(sorted(dependencies.files)),
            packages=tuple(dict.fromkeys([*dependencies.packages, *runtimes])),
        )


def _left_to_deploy(config: Config) -> Iterator[str]:
    for reference in dict.fromkeys(config.secret_references):
        kind = "parameter" if reference.is_parameter else "secret"
        yield f"{kind} {reference.name}"
    places = dict.fromkeys(place for api in config.apis for place in api.predictor.s3_prefixes)
    yield from (f"models at s3://{bucket}/{prefix}" for bucket, prefix in places)
    yield from (f"image {image}" for image in dict.fromkeys(api.predictor.image for api in config.apis) if image)
    here = {api.name for api in config.apis}
    members = dict.fromkeys(member.name for splitter in config.splitters for member in splitter.apis)
    yield from (f"API {name}, of a traffic splitter" for name in members if name not in here)
