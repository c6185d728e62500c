"""Faults of a local cloud, made at the door that ``cortex local chaos`` uses."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from cortex_cdk.localcloud.faults import EVERY_GROUP, LAUNCH_FAILURE, FaultDoor


def fail_launches(control_url: str, group: str = EVERY_GROUP, code: str = "VcpuLimitExceeded", **more: Any) -> None:
    """Let EC2 launch no instance of an Auto Scaling group."""
    fault = {"kind": LAUNCH_FAILURE, "target": group, "code": code, "seconds": 600, **more}
    request = urllib.request.Request(f"{control_url}/_cortex/faults", json.dumps(fault).encode(), method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as answer:
        json.load(answer)


def let_launch(control_url: str, group: str = EVERY_GROUP) -> None:
    """Let EC2 launch instances again."""
    FaultDoor(control_url).end(LAUNCH_FAILURE, group)


def launch_faults(control_url: str) -> list[dict[str, Any]]:
    """The faults that go on."""
    return [fault.as_json() for fault in FaultDoor(control_url).active()]
