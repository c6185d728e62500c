"""Make, list and revoke API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cortex_cli import options
from cortex_cli.output import age, print_json, print_table

if TYPE_CHECKING:
    from cortex_serving.formats.access_keys import AccessKey

    from cortex_cdk.access_keys import KeyStore

SECTION = "APIs"

_FILE = click.option(
    "--file",
    type=options.PathOf(dir_okay=False),
    metavar="FILE",
    help="Keep the keys in FILE, for cortex-serve by itself, instead of the environment's cluster.",
)


@click.group("key")
def command() -> None:
    """Make, list and revoke API keys, which APIs with `networking.auth: api_key` ask for.

    \b
    Example:
      cortex key create mobile-app --expires 90d
    """


@command.command("create")
@click.argument("name", type=options.TEXT)
@click.option(
    "--api",
    "--apis",
    "apis",
    multiple=True,
    type=options.TEXT,
    metavar="API",
    help="API that the key is for, or several with commas (default: all). Can be given several times.",
)
@click.option(
    "--expires",
    metavar="DURATION",
    type=options.TEXT,
    help="For how long the key is good, such as 12h or 90d (default: for ever).",
)
@_FILE
@options.environment
@options.output
def create(
    name: str, apis: Sequence[str], expires: str | None, file: Path | None, env: str | None, output: str
) -> None:
    """Make the key NAME and print it. The key is not kept, and cannot be shown again.

    Replicas know a new key within half a minute.

    \b
    Example:
      cortex key create mobile-app --api iris-classifier --expires 90d
    """
    from cortex_cdk import access_keys

    lifetime = _lifetime(expires)
    named = [api.strip() for text in apis for api in text.split(",")]
    if "" in named:
        # A key for no API would be one for all.
        raise click.BadParameter("there is no name on one side of a comma", param_hint="--api")
    made, key = access_keys.create(_store(file, env), name, named, lifetime)
    if output == "json":
        print_json({**_as_json(made), "key": key})
        return
    click.echo(key)
    click.echo("the key is shown this once; send it as: Authorization: Bearer KEY, or X-Api-Key: KEY", err=True)
    click.echo("replicas that run know it within half a minute", err=True)


@command.command("list")
@_FILE
@options.environment
@options.output
def list_keys(file: Path | None, env: str | None, output: str) -> None:
    """List the keys, without what is secret.

    \b
    Example:
      cortex key list --env prod
    """
    keys = _store(file, env).load()
    if output == "json":
        print_json([_as_json(key) for key in keys])
        return
    if not keys:
        click.echo("there are no API keys: make one with: cortex key create NAME")
        return
    print_table(
        [
            {
                "key": key.name,
                "id": key.id,
                "for": ", ".join(key.apis) or "all APIs",
                "status": _status(key),
                "age": age(_moment(key.created)),
            }
            for key in keys
        ]
    )


@command.command("revoke")
@click.argument("name", type=options.TEXT)
@_FILE
@options.environment
@options.output
def revoke(name: str, file: Path | None, env: str | None, output: str) -> None:
    """Revoke the key NAME. Replicas refuse it within half a minute; none is restarted.

    \b
    Example:
      cortex key revoke mobile-app
    """
    from cortex_cdk import access_keys

    revoked = access_keys.revoke(_store(file, env), name)
    if output == "json":
        print_json(_as_json(revoked))
        return
    click.echo(f"revoked {revoked.name}: every replica refuses it within half a minute")


def _store(file: Path | None, env: str | None) -> KeyStore:
    from cortex_cdk.access_keys import FileKeys
    from cortex_cdk.client import Client

    return FileKeys(file) if file else Client(env).keys


def _lifetime(text: str | None) -> float | None:
    """Return the seconds of a duration. Days are what people give keys, and Go's durations have none."""
    from cortex_cdk.config.quantities import parse_duration

    if text is None:
        return None
    try:
        seconds = float(text[:-1]) * 86_400 if text[-1:] == "d" else parse_duration(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e10:
        raise click.BadParameter(f"{text!r} is not a duration such as 12h or 90d", param_hint="--expires")
    return seconds


def _status(key: AccessKey) -> str:
    now = datetime.now(timezone.utc)
    reason = key.refused_because(now.timestamp())
    if reason:
        return reason.rpartition(" ")[2]
    return "good" if key.expires is None else f"good until {_moment(key.expires):%Y-%m-%d %H:%M} UTC"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _as_json(key: AccessKey) -> dict[str, Any]:
    moments = {name: getattr(key, name) for name in ("created", "expires", "revoked")}
    written = {name: _moment(at).isoformat(timespec="seconds") if at else None for name, at in moments.items()}
    return {"name": key.name, "id": key.id, "apis": list(key.apis), **written}
