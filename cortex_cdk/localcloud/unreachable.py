"""Explains why nobody answers at an address of this machine, where the local cloud is the reason."""

from __future__ import annotations

from urllib.parse import urlsplit

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud import launcher
from cortex_cdk.localcloud.endpoint import read_ports
from cortex_cdk.localcloud.settings import HOST, Settings


def explain_silence(url: str, environment: str) -> LocalCloudError | None:
    """Explain that the local cloud was stopped, or has moved to another port.

    Args:
        url: The endpoint that does not answer.
        environment: Name of the environment whose endpoint it is.

    Returns:
        The error to show; None where the endpoint has nothing to do with the local cloud.
    """
    address = urlsplit(url)
    if address.hostname not in (HOST, "localhost"):
        return None
    settings = Settings.from_environ()
    last_port, running = read_ports(settings.state).get("control_port"), launcher.status(settings)
    if last_port is None or (running and urlsplit(running.control_url).port == address.port):
        return None
    if running:
        return LocalCloudError(
            f"nobody answers at {url}, the endpoint of environment {environment!r}: the local cloud is at "
            f"{running.control_url}",
            hint=f"set it with: cortex env configure {environment} --endpoint-url {running.control_url} "
            "(CORTEX_LOCAL_PORT keeps it where it is)",
        )
    if address.port == last_port:
        return LocalCloudError(
            "the local cloud was stopped", hint="start it with cortex local up, and run this command again"
        )
    return None
