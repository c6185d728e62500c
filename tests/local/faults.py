"""Faults of a local cloud, made at the door that ``cortex local chaos`` uses."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

EVERY_GROUP = "*"


def fail_launches(control_url: str, group: str = EVERY_GROUP, code: str = "VcpuLimitExceeded", **more: Any) -> None:
    """Let EC2 launch no instance of an Auto Scaling group."""
    _ask(control_url, "POST", {"group": group, "code": code, "seconds": 600, **more})


def let_launch(control_url: str, group: str = EVERY_GROUP) -> None:
    """Let EC2 launch instances again."""
    _ask(control_url, "DELETE", {"group": group})


def launch_faults(control_url: str) -> list[dict[str, Any]]:
    """The faults that go on."""
    found: list[dict[str, Any]] = _ask(control_url, "GET", {})["launch_faults"]
    return found


def _ask(control_url: str, method: str, content: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{control_url}/_cortex/faults", json.dumps(content).encode() if content else None, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as answer:
        return json.load(answer)
