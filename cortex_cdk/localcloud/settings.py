"""Where the local cloud keeps its state, which ports it takes, and how fast its clock runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cortex_cdk.home import cortex_home

DEFAULT_CONTROL_PORT = 4566
DEFAULT_HTTP_PORT = 8888
ACCOUNT_ID = "123456789012"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Settings:
    """Settings of one local cloud.

    Attributes:
        state: The folder that holds everything that survives a restart.
        control_port: Port of the AWS API; 0 picks a free one.
        http_port: Port of the load balancer; 0 picks a free one.
        speed: How many times faster than AWS periodic things run (health-check intervals, alarm
            periods, cooldowns).
    """

    state: Path
    control_port: int = DEFAULT_CONTROL_PORT
    http_port: int = DEFAULT_HTTP_PORT
    speed: float = 6.0

    @classmethod
    def from_environ(cls) -> Settings:
        """Read ``CORTEX_HOME``, ``CORTEX_LOCAL_PORT``, ``CORTEX_LOCAL_HTTP_PORT`` and ``CORTEX_LOCAL_SPEED``."""
        return cls(
            state=cortex_home() / "local",
            control_port=int(os.environ.get("CORTEX_LOCAL_PORT") or DEFAULT_CONTROL_PORT),
            http_port=int(os.environ.get("CORTEX_LOCAL_HTTP_PORT") or DEFAULT_HTTP_PORT),
            speed=float(os.environ.get("CORTEX_LOCAL_SPEED") or 6.0),
        )
