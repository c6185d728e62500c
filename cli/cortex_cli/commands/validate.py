"""Check a project without deploying."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from cortex_serving.contract import CONFIG_FILE

from cortex_cli import options
from cortex_cli.control_characters import on_stdout
from cortex_cli.messages import show, warn
from cortex_cli.output import print_json, size

if TYPE_CHECKING:
    from cortex_cdk.config import RealtimeApi, TrafficSplitter
    from cortex_cdk.deploy.validate import Image, Validation
    from cortex_cdk.errors import Problem

SECTION = "Projects"
MOST_NAMES = 8


@click.command("validate")
@click.argument("config", type=options.PathOf(), default=Path(CONFIG_FILE))
@click.option("--strict", is_flag=True, help="Take warnings for errors, such as files that look like secrets.")
@options.output
def command(config: Path, strict: bool, output: str) -> None:
    """Check CONFIG (a file, or the folder of a cortex.yaml; default: ./cortex.yaml) and its project.

    Shows everything that is wrong at once, and what would be deployed. Needs neither AWS nor the local cloud, and
    changes nothing.

    \b
    Example:
      cortex validate my-model
    """
    from cortex_cdk.deploy.validate import validate
    from cortex_cdk.errors import ConfigError

    found = validate(config, strict=strict)
    if output == "json":
        print_json(_as_json(found))
    else:
        for line in _described(found):
            click.echo(on_stdout(line))
    for warning in found.warnings:
        warn(str(warning))
    if found.errors:
        show(ConfigError(found.errors))
        sys.exit(1)
    if output != "json":
        click.echo(on_stdout(f"{found.path} can be deployed"))


def _described(found: Validation) -> Iterator[str]:
    """What would be deployed, as lines, as far as it is known."""
    for resource in found.config.resources if found.config else ():
        yield f"{resource.name} ({resource.kind}): {resource.networking.endpoint}, {_in_words(resource)}"
    if found.project:
        files = found.project.files
        what = "1 file" if len(files) == 1 else f"{len(files)} files"
        yield f"project: {what}, {size(found.project.size)}: {_some(file.name for file in files)}"
    for image in found.images:
        yield f"image: {_image_in_words(image)}" + (f" (of {_some(image.apis)})" if len(found.images) > 1 else "")
    if found.left_to_deploy:
        yield f"checked by cortex deploy only: {_some(found.left_to_deploy)}"


def _in_words(resource: RealtimeApi | TrafficSplitter) -> str:
    from cortex_cdk.config import TrafficSplitter

    if isinstance(resource, TrafficSplitter):
        return ", ".join(f"{member.weight} % to {member.name}" for member in resource.apis)
    compute, scaling = resource.compute, resource.autoscaling
    gpus = f", {compute.gpu} GPU{'s' if compute.gpu > 1 else ''}" if compute.gpu else ""
    memory = f", {size(compute.mem)}" if compute.mem else ""
    replicas = f"{scaling.min_replicas} to {scaling.max_replicas} replicas of {compute.cpu:g} CPU{memory}{gpus}"
    return f"{resource.predictor.type} predictor in {resource.predictor.path}, {replicas}"


def _image_in_words(image: Image) -> str:
    if image.reference:
        return image.reference
    python = f"Python {image.python}" if image.python else ""
    # Markers, which say on which machines, are for programs.
    packages = dict.fromkeys(package.partition(";")[0].strip() for package in image.packages)
    parts = [image.base_image or "", python, "CUDA" if image.gpu else "", *packages]
    return ", ".join(filter(None, parts)) or "no packages are installed"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - MOST_NAMES} more" if len(listed) > MOST_NAMES else ""
    return ", ".join(listed[:MOST_NAMES]) + more


def _as_json(found: Validation) -> dict[str, Any]:
    config, project = found.config, found.project
    return {
        "valid": not found.errors,
        "config": str(found.path),
        "errors": [_problem_as_json(problem) for problem in found.errors],
        "warnings": [_problem_as_json(problem) for problem in found.warnings],
        "apis": [_api_as_json(api) for api in config.apis] if config else [],
        "splitters": [
            {
                "name": splitter.name,
                "endpoint": splitter.networking.endpoint,
                "apis": [{"name": member.name, "weight": member.weight} for member in splitter.apis],
            }
            for splitter in (config.splitters if config else ())
        ],
        "files": [{"name": file.name, "bytes": file.size} for file in project.files] if project else [],
        "images": [
            {
                "apis": list(image.apis),
                "reference": image.reference,
                "python": image.python,
                "base_image": image.base_image,
                "gpu": image.gpu,
                "files": list(image.files),
                "packages": list(image.packages),
            }
            for image in found.images
        ],
        "left_to_deploy": list(found.left_to_deploy),
    }


def _problem_as_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "column": problem.column,
        "field": problem.path or None,
        "message": problem.message,
        "hint": problem.hint,
    }


def _api_as_json(api: RealtimeApi) -> dict[str, Any]:
    return {
        "name": api.name,
        "endpoint": api.networking.endpoint,
        "type": api.predictor.type,
        "path": api.predictor.path,
        "cpu": api.compute.cpu,
        "memory_bytes": api.compute.mem,
        "gpu": api.compute.gpu,
        "min_replicas": api.autoscaling.min_replicas,
        "max_replicas": api.autoscaling.max_replicas,
    }
