"""Write the files of a deployment into a folder."""

from __future__ import annotations

import re
from pathlib import Path

import click

from cortex_cli import options
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import print_json
from cortex_cli.suggestions import for_environment

SECTION = "APIs"
REVISION = re.compile(r"v?[0-9]+|[0-9a-f]{7,}")
"""What is rather a revision than the name of a folder."""


@click.command("export")
@options.name()
@click.argument("places", metavar="[REVISION] DIR", nargs=-1, required=True, type=options.TEXT)
@options.environment
@options.output
def command(name: str, places: tuple[str, ...], env: str | None, output: str) -> None:
    """Write the files of a deployment, with its cortex.yaml, into the new or empty folder DIR.

    REVISION is a number of `cortex history` (3 or v3) or the beginning of a revision; without it, what serves.

    \b
    Example:
      cortex export iris v3 old-iris
    """
    from cortex_cdk.client import Client

    if len(places) > 2:
        raise click.UsageError(f"export takes a revision and a folder, not {len(places)} words: {' '.join(places)}")
    *revision, folder = places
    if not revision and REVISION.fullmatch(folder):
        raise click.UsageError(f"{folder} may be a revision: name a folder, too: cortex export {name} {folder} DIR")
    done = Client(env).export(name, Path(folder), *revision)
    if output == "json":
        document = {
            "name": name,
            "number": done.record.number,
            "revision": done.record.release.revision,
            "folder": str(done.folder),
            "config": str(done.config),
        }
        print_json(document)
        return
    click.echo(on_stdout(f"wrote {name} {done.record.name} to {done.folder}"))
    click.echo(on_stdout(for_environment(f"deploy:   cortex deploy {done.deployable}")))
