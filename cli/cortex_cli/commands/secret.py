"""Set, list and delete secrets of APIs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from cortex_cdk.errors import CortexError
from cortex_cli import options
from cortex_cli.output import age, agree, print_json, print_table

SECTION = "APIs"


@click.group("secret")
def command() -> None:
    """Set, list and delete secrets of AWS Secrets Manager for your APIs (predictor.secrets).

    \b
    Example:
      cortex secret list
    """


@command.command("set")
@click.argument("name", type=options.TEXT)
# A value that was typed here must not be repeated in a message.
@click.argument("rest", nargs=-1, metavar="", type=click.UNPROCESSED)
@click.option("--key", metavar="KEY", type=options.TEXT, help="Set only this key of a secret that is a JSON object.")
@options.environment
@options.output
def set_secret(name: str, rest: tuple[str, ...], key: str | None, env: str | None, output: str) -> None:
    """Give the secret NAME a value: from standard input, or asked for.

    A secret that does not exist is made. One line break at the end of the input is not part of the value.

    \b
    Example:
      cortex secret set database-password < password.txt
    """
    from cortex_cdk.client import Client
    from cortex_cdk.secrets.values import check_name

    if rest:
        raise click.UsageError(
            "a value is never an argument: the shell's history and other users would see it; pipe it in, or be asked"
        )
    check_name(name)
    client = Client(env)
    is_new = client.secrets.set(name, _read_value(f"{name}, key {key}" if key else name), key)
    message = f"{'made' if is_new else 'set'} the secret {name}"
    apis = client.secrets.uses(name)
    if output == "json":
        print_json({"name": name, "message": message, "used_by": list(apis)})
        return
    click.echo(message)
    if apis:
        click.echo(f"running replicas keep the old value; give them the new one with: {_refreshes(apis)}")


def _refreshes(apis: Sequence[str]) -> str:
    return ", ".join(f"cortex refresh {api}" for api in apis)


def _read_value(what: str) -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt(f"value of {what}", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise CortexError(
            f"the value of {what} is not UTF-8 text", hint="encode it, such as with base64, and decode it in __init__"
        ) from error
    return text.removesuffix("\n").removesuffix("\r")


@command.command("list")
@options.environment
@options.output
def list_secrets(env: str | None, output: str) -> None:
    """List the secrets of the cluster and who uses them, without their values.

    \b
    Example:
      cortex secret list --env prod
    """
    from cortex_cdk.client import Client

    found = Client(env).secrets.list()
    if output == "json":
        print_json([secret.as_json() for secret in found])
        return
    if not found:
        click.echo("no secrets; make one with: cortex secret set NAME")
        return
    print_table(
        [
            {
                "secret": secret.name if secret.kind == "secret" else f"ssm:{secret.name}",
                "changed": f"{age(secret.changed)} ago" if secret.changed else "not found",
                "used by": ", ".join(secret.used_by) or "-",
            }
            for secret in found
        ]
    )


@command.command("delete")
@click.argument("name", type=options.TEXT)
@options.environment
@options.yes
@options.output
def delete(name: str, env: str | None, yes: bool, output: str) -> None:
    """Delete the secret NAME after the recovery window of Secrets Manager.

    \b
    Example:
      cortex secret delete database-password
    """
    from cortex_cdk.client import Client

    client = Client(env)
    apis = client.secrets.uses(name)
    if apis:
        used = f"{', '.join(apis)} {'use' if len(apis) > 1 else 'uses'} the secret {name}"
        agree(
            f"{used}, and no new replica could start without it. Delete it?",
            yes=yes,
            otherwise=f"{used}: not deleted",
            hint="no new replica could start without it; delete it all the same with --yes",
        )
    until = client.secrets.delete(name)
    if output == "json":
        print_json({"name": name, "message": f"deleted {name}", "recoverable_until": until.isoformat()})
        return
    click.echo(f"deleted the secret {name}")
    click.echo(f"until {until:%Y-%m-%d} it can be brought back: aws secretsmanager restore-secret --secret-id {name}")
