"""Command lines that are suggested to the user."""

from __future__ import annotations

import re
import shlex

import click
from cortex_serving.contract import KEY_HEADER

from cortex_cli.command_list import load_command
from cortex_cli.invocation import Invocation, current_invocation

# A command line ends with the text, with a comma or with a parenthesis.
_COMMAND_LINE = re.compile(r"\bcortex(?P<words>(?: [a-z]+(?:-[a-z]+)*)+)(?=(?P<rest>[^,)]*))")


def for_environment(text: str, invocation: Invocation | None = None) -> str:
    """Return a text in which every command line goes to the environment that the user named.

    A command line is changed if its command has the option ``--env`` and the option is not given. The commands
    themselves tell, so that a new one needs no entry here.

    Args:
        text: A sentence that may hold command lines of ours, such as ``see why with: cortex logs iris``.
        invocation: The run that the text belongs to; None takes the current one.
    """
    environment = (invocation or current_invocation()).environment
    return _COMMAND_LINE.sub(lambda match: _directed(match, environment), text) if environment else text


def _directed(match: re.Match[str], environment: str) -> str:
    words = match["words"].split()
    command, used = load_command(words[0]), 1
    while isinstance(command, click.Group) and used < len(words) and words[used] in command.commands:
        command, used = command.commands[words[used]], used + 1
    takes_environment = command is not None and any(parameter.name == "env" for parameter in command.params)
    if not takes_environment or "--env" in match["rest"]:
        return match[0]
    return " ".join(["cortex", *words[:used], "--env", environment, *words[used:]])


def sample_request(name: str, endpoint: str, file: str, *, needs_key: bool) -> str:
    """Return a command line that sends a JSON file to an API.

    curl would refuse an endpoint with TLS: the certificate is for the user's domain, while the endpoint has the load
    balancer's own name. ``cortex predict`` checks the right certificate (docs/decisions/0017).

    Args:
        name: Name of the API or splitter.
        endpoint: Its URL.
        file: Path of the file, as it is to be shown.
        needs_key: Whether the API asks for a key, for which ``KEY`` stands.
    """
    if endpoint.startswith("https://"):
        return _predict(shlex.join([name, file]), needs_key=needs_key)
    key_header = ["-H", f"{KEY_HEADER}: KEY"] if needs_key else []
    return shlex.join(["curl", endpoint, *key_header, "-H", "Content-Type: application/json", "-d", f"@{file}"])


def any_request(name: str, *, needs_key: bool) -> dict[str, str]:
    """Return command lines for an API of which nobody knows whether it takes JSON, pictures, text or forms.

    ``cortex predict`` chooses the content type by the file's name; curl would have to be told.

    Args:
        name: Name of the API or splitter.
        needs_key: Whether the API asks for a key, for which ``KEY`` stands.

    Returns:
        Each by what it is for.
    """
    return {
        "try it": _predict(f"{name} FILE", needs_key=needs_key),
        "takes": _predict(f"{name} --schema", needs_key=needs_key),
    }


def _predict(arguments: str, *, needs_key: bool) -> str:
    from cortex_cdk.predict.call import KEY_VARIABLE

    key = f"{KEY_VARIABLE}=KEY " if needs_key else ""
    return key + for_environment(f"cortex predict {arguments}")
