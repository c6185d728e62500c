"""Start a project from a template."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from cortex_serving.contract import SAMPLE_FILE

from cortex_cli import options, shell_completion
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import print_json, print_table

if TYPE_CHECKING:
    from cortex_cdk.templates import Template

SECTION = "Projects"


class _TemplateName(click.ParamType["Template"]):
    """The name of a template."""

    name = "template"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Template:
        """Find the template."""
        import difflib

        from cortex_cdk.templates import DEFAULT_TEMPLATE, Template, templates

        if isinstance(value, Template):
            return value
        known = templates()
        if value not in known:
            close = difflib.get_close_matches(value.lower(), known, n=1)
            meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
            folder = shlex.join(["cortex", "init", DEFAULT_TEMPLATE, value])
            self.fail(f"there is no template {value!r}: {meant} For a folder of that name: {folder}", param, ctx)
        return known[value]


@shell_completion.offered
def _names(_context: click.Context) -> list[str]:
    from cortex_cdk.templates import templates

    return list(templates())


@click.command("init")
@click.argument("template", type=_TemplateName(), default="python", shell_complete=_names)
@click.argument("folder", type=options.PathOf(), default=Path(), metavar="[DIR]")
@click.option("--list", "listing", is_flag=True, help="List the templates, and write nothing.")
@options.output
def command(template: Template, folder: Path, listing: bool, output: str) -> None:
    """Start a project from TEMPLATE (default: python) in DIR (default: here), and name its API after the folder.

    DIR is made if it does not exist. No file is overwritten.

    \b
    Example:
      cortex init onnx my-model
    """
    from cortex_cdk.templates import start_project

    if listing:
        _list(output)
        return
    project = start_project(template, folder)
    if output == "json":
        print_json(
            {
                "template": project.template,
                "name": project.name,
                "folder": str(project.folder),
                "files": list(project.files),
            }
        )
        return
    steps = {
        "cortex validate": "check everything, deploy nothing",
        "cortex deploy": "deploy; the local cloud starts by itself",
        f"cortex predict {project.name} {SAMPLE_FILE}": "send a request",
    }
    where = Path(os.path.relpath(project.folder))
    if where != Path():
        steps = {shlex.join(["cd", str(where)]): "", **steps}
    click.echo(on_stdout(f"{project.name} was made from the template {project.template}, in {project.folder}"))
    click.echo("\nnext:")
    width = max(map(len, steps))
    for step, meaning in steps.items():
        click.echo(on_stdout(f"  {step:<{width}}  {meaning}".rstrip()))


def _list(output: str) -> None:
    from cortex_cdk.templates import templates

    found = templates().values()
    if output == "json":
        print_json([{"name": template.name, "summary": template.summary} for template in found])
        return
    print_table([{"template": template.name, "shows": template.summary} for template in found])
