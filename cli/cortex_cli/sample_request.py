"""Command lines that send a file to an API, to be pasted."""

from __future__ import annotations

import shlex

from cortex_cli.options import for_environment


def command_line(name: str, endpoint: str, file: str) -> str:
    """A command line that sends a JSON file.

    curl would refuse an endpoint with TLS: its certificate is for the user's domain, while the endpoint has the load
    balancer's own name. ``cortex predict`` asks for the certificate that must be shown (docs/decisions/0017).

    Args:
        name: The API's or splitter's.
        endpoint: Its URL.
        file: Path of the file, as it is to be shown.
    """
    if endpoint.startswith("https://"):
        return for_environment(f"cortex predict {shlex.join([name, file])}")
    return shlex.join(["curl", endpoint, "-H", "Content-Type: application/json", "-d", f"@{file}"])
