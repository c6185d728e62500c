"""Deploy the APIs of a configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from cortex_serving.contract import CONFIG_FILE, SAMPLE_FILE, TRAFFIC_SPLITTER

from cortex_cli import options, plans
from cortex_cli.control_characters import on_stdout
from cortex_cli.messages import show, warn
from cortex_cli.output import print_json
from cortex_cli.suggestions import any_request, for_environment, sample_request

if TYPE_CHECKING:
    from cortex_cdk.config import Config
    from cortex_cdk.deploy.apply import Applied

SECTION = "APIs"

MOST_TRIALS = 5


@click.command("deploy")
@click.argument("config", type=options.PathOf(), default=Path(CONFIG_FILE))
@options.environment
@options.yes
@click.option("-f", "--force", is_flag=True, help="Cancel an update that runs, rather than refuse.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Build the image anew, with the updates of system and packages, though there is one.",
)
@click.option("--strict", is_flag=True, help="Refuse files that look like secrets, rather than name them.")
@click.option("--no-wait", is_flag=True, help="Leave as soon as the deployment has begun, rather than at its end.")
@options.message
@options.plan
@options.output
def command(
    config: Path,
    env: str | None,
    yes: bool,
    plan: bool,
    output: str,
    force: bool,
    rebuild: bool,
    strict: bool,
    no_wait: bool,
    message: str | None,
) -> None:
    """Deploy the APIs of CONFIG (a file, or the folder of a cortex.yaml; default: ./cortex.yaml).

    \b
    Example:
      cortex deploy examples/iris-classifier --env prod
    """
    from cortex_cdk.client import Client
    from cortex_cdk.config import load_config
    from cortex_cli.progress import TerminalProgress

    loaded = load_config(config)
    for warning in loaded.warnings:
        warn(str(warning))
    if plan:
        with TerminalProgress(yes=yes) as progress:
            client = Client(env, progress)
            report = client.plan_deployment(loaded, force=force, rebuild=rebuild, strict=strict, wait=not no_wait)
        plans.end_with(report, client.environment, output)
    with TerminalProgress(yes=yes) as progress:
        results = Client(env, progress).deploy(
            loaded, force=force, rebuild=rebuild, strict=strict, message=message, wait=not no_wait, check=False
        )
    if output == "json":
        print_json([_as_json(result) for result in results])
    else:
        _print(loaded, results)
    _show_errors(results)


def _as_json(result: Applied) -> dict[str, Any]:
    return {
        "name": result.name,
        "kind": result.kind,
        "revision": result.revision,
        "number": result.number,
        "endpoint": result.endpoint,
        "message": result.message,
        "changed": result.changed,
        "in_progress": result.in_progress,
        "differences": result.differences.as_json() if result.differences else None,
        "error": result.error.as_json() if result.error else None,
    }


def _print(config: Config, results: list[Applied]) -> None:
    for result in results:
        number = f" as v{result.number}" if result.number and not result.error else ""
        click.echo(on_stdout(f"{result.message}{number}"))
    serving = [result for result in results if not result.error]
    if not serving:
        return
    click.echo()
    # Clients talk to the splitter, if there is one.
    serving.sort(key=lambda result: result.kind != TRAFFIC_SPLITTER)
    for result in serving:
        click.echo(f"endpoint: {result.endpoint}")
    named = f" {serving[0].name}" if len(serving) == 1 else ""
    going_on = [result for result in serving if result.in_progress]
    click.echo(for_environment(f"status:   cortex get{named}{' --watch' if going_on else ''}"))
    if going_on:
        click.echo(for_environment(f"trouble:  cortex why {going_on[0].name}"))
    api = next((result for result in serving if result.kind != TRAFFIC_SPLITTER), None)
    if api:
        click.echo(for_environment(f"logs:     cortex logs {api.name}"))
    if not going_on:
        _print_trials(serving, config)


def _print_trials(serving: list[Applied], config: Config) -> None:
    """Write a sample request for each API and splitter; for the first only, if there are many, or no sample is there.

    One sample is taken to be for all APIs of a project.
    """
    sample = config.project_root / SAMPLE_FILE
    shown = serving if len(serving) <= MOST_TRIALS else serving[:1]
    keyed = {api.name for api in config.apis if api.networking.auth.api_key}
    keyed |= {one.name for one in config.splitters if keyed & {variant.name for variant in one.apis}}
    if not sample.is_file():
        for what, request in any_request(serving[0].name, needs_key=serving[0].name in keyed).items():
            click.echo(on_stdout(f"{what + ':':<9} {request}"))
        return
    file = _seen_from_here(sample)
    for result in shown:
        request = sample_request(result.name, result.endpoint, file, needs_key=result.name in keyed)
        click.echo(on_stdout(f"try it:   {request}"))
    if len(shown) < len(serving):
        click.echo(f"          and likewise the other {len(serving) - len(shown)}")


def _seen_from_here(file: Path) -> str:
    file, here = file.resolve(), Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _show_errors(results: list[Applied]) -> None:
    errors = [result.error for result in results if result.error]
    for error in errors:
        show(error)
    if errors:
        sys.exit(1)
