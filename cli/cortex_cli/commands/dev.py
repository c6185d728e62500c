"""Deploy a project, and again at each save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cortex_cli import options
from cortex_cli.invocation import current_invocation
from cortex_cli.output import agree, until_left
from cortex_cli.suggestions import for_environment
from cortex_cli.terminal import can_draw, make_console

if TYPE_CHECKING:
    from cortex_cdk.dev.happenings import Happening
    from cortex_cdk.environment import Environment

SECTION = "APIs"


@click.command("dev")
@click.argument("config", metavar="[DIR]", type=options.PathOf(), default=Path())
@options.environment
@click.option(
    "--data",
    type=options.PathOf(exists=True, dir_okay=False),
    metavar="FILE",
    help="Send FILE after each deployment, rather than sample.json of the project.",
)
@options.yes
@options.output
def command(config: Path, env: str | None, data: Path | None, yes: bool, output: str) -> None:
    """Deploy the project in DIR (default: .) to the local cloud, and again each time a file is saved.

    Shows what the API answers to the sample, what its replicas log, and why a save does not work; the revision before
    serves meanwhile. Files that .cortexignore names are not watched. Ctrl-C ends the command and leaves the API
    deployed.

    \b
    Example:
      cortex dev examples/iris-classifier
    """
    from cortex_cdk.dev.session import DevSession

    environment = _environment(env)
    if environment.is_billed:
        agree(
            f"Each save replaces the replicas in environment {environment.name}, which costs money. Go on?",
            yes=yes,
            otherwise=f"each save would replace the replicas in environment {environment.name}, which costs money",
            hint="accept that with --yes, or leave out --env to work in the local cloud",
        )
    with until_left(), _listener(f"{config.absolute().name}  (environment {environment.name})", output) as tell:
        session = DevSession(environment.name, config, data, tell, yes=yes)
        try:
            session.run()
        finally:
            # Below what the screen leaves.
            click.get_current_context().call_on_close(lambda: _say_what_stays(session.endpoints))


def _environment(name: str | None) -> Environment:
    """The environment of that name, or the one that costs nothing, to which the suggestions of this run lead too."""
    from cortex_cdk.environment import load_environments

    known = load_environments()
    chosen = known.get(name) if name else next(one for one in known.all if not one.is_billed)
    if chosen.name != known.default:
        current_invocation().environment = chosen.name
    return chosen


@contextmanager
def _listener(title: str, output: str) -> Iterator[Callable[[Happening], None]]:
    """What hears of everything: a screen on a terminal, else lines."""
    from cortex_cli.dev_lines import write_json, write_lines

    if output == "json":
        yield write_json
        return
    console = make_console()
    if not can_draw(console):
        yield write_lines
        return
    from rich.live import Live

    from cortex_cli.dev_screen import DevScreen

    screen = DevScreen(title)
    with Live(screen, console=console, screen=True, refresh_per_second=8):
        yield screen


def _say_what_stays(endpoints: Mapping[str, str]) -> None:
    # Splitters first: an API that one uses cannot be removed.
    for name, endpoint in reversed(list(endpoints.items())):
        click.echo(
            for_environment(f"{name} stays deployed at {endpoint}: remove it with cortex delete {name}"), err=True
        )
