"""Print the JSON Schema of a configuration file."""

from __future__ import annotations

import click
from cortex_serving.contract import CONFIG_FILE

from cortex_cdk.names import CLUSTER_FILE
from cortex_cli.output import print_json

SECTION = "Projects"


@click.command("schema")
@click.argument("file", type=click.Choice([CONFIG_FILE, CLUSTER_FILE]), default=CONFIG_FILE)
def command(file: str) -> None:
    """Print the JSON Schema of cortex.yaml or cluster.yaml, by which editors complete and check the file.

    A project of `cortex init` has the schema, and names it in the first line of its configuration. For another project,
    write the schema to a hidden folder, which is not packed, and add that line:

    \b
      # yaml-language-server: $schema=.cortex/cortex.schema.json

    \b
    Example:
      cortex schema > .cortex/cortex.schema.json
    """
    from cortex_cdk.config.json_schema import api_file_schema, cluster_file_schema

    print_json(api_file_schema() if file == CONFIG_FILE else cluster_file_schema())
