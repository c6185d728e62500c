"""Reads the settings of the local cloud: the state folder, the ports, and the speed of the clock."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.home import cortex_home

DEFAULT_CONTROL_PORT = 4566
DEFAULT_HTTP_PORT = 8888
DEFAULT_HTTPS_PORT = 8443
PORT_VARIABLES = ("CORTEX_LOCAL_PORT", "CORTEX_LOCAL_HTTP_PORT", "CORTEX_LOCAL_HTTPS_PORT")
SPEED_VARIABLE = "CORTEX_LOCAL_SPEED"
ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
PARTITION = "aws"
HOST = "127.0.0.1"
DEFAULT_SPEED = 6.0
BALANCER_FOLDER = "balancer"
"""Folder of the load balancer's files, inside the state folder."""


@dataclass(frozen=True)
class Settings:
    """Settings of one local cloud.

    Attributes:
        state: The folder that holds everything that survives a restart.
        control_port: Port of the AWS API; 0 picks a free one.
        http_port: Port of the load balancer; 0 picks a free one.
        https_port: Port of the load balancer for TLS; 0 picks a free one. None picks the usual port, or a free one
            where that is taken: most clusters have no certificate and never open it.
        speed: How many times shorter than on AWS health-check intervals, alarm periods and cooldowns are.
    """

    state: Path
    control_port: int = DEFAULT_CONTROL_PORT
    http_port: int = DEFAULT_HTTP_PORT
    https_port: int | None = None
    speed: float = DEFAULT_SPEED

    @classmethod
    def from_environ(cls) -> Settings:
        """Read ``CORTEX_HOME``, ``CORTEX_LOCAL_PORT``, ``_HTTP_PORT``, ``_HTTPS_PORT`` and ``CORTEX_LOCAL_SPEED``.

        Raises:
            LocalCloudError: A variable is not a number in its range.
        """
        control, http, https = PORT_VARIABLES
        return cls(
            state=cortex_home() / "local",
            control_port=_port(control, DEFAULT_CONTROL_PORT),
            http_port=_port(http, DEFAULT_HTTP_PORT),
            https_port=_port(https, DEFAULT_HTTPS_PORT) if os.environ.get(https) else None,
            speed=_speed(),
        )


def asked() -> dict[str, float]:
    """Return the ports and the speed that the environment sets, by variable. A port of 0 counts as not set."""
    found: dict[str, float] = {variable: _port(variable, 0) for variable in PORT_VARIABLES}
    if os.environ.get(SPEED_VARIABLE):
        found[SPEED_VARIABLE] = _speed()
    return {variable: number for variable, number in found.items() if number}


def _speed() -> float:
    return _number(SPEED_VARIABLE, DEFAULT_SPEED, 1, 1000)


def _port(variable: str, default: int) -> int:
    return int(_number(variable, default, 0, 65535))


def _number(variable: str, default: float, least: float, most: float) -> float:
    text = os.environ.get(variable) or str(default)
    with suppress(ValueError):
        if least <= float(text) <= most:
            return float(text)
    raise LocalCloudError(
        f"{variable} must be a number from {least:g} to {most:g}, not {text!r}",
        hint=f"correct it, or leave it out for the default ({default:g})",
    )
