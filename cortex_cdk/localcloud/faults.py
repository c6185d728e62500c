"""The faults that ``cortex local chaos`` makes, and the door of the daemon that makes them.

Each fault lies with the service that it strikes, as a stored fact with an end: it outlives a restart of the daemon, and
ends by itself. Replicas: ``services.ecs.replica_faults``. Instances: ``services.autoscaling``. Whole services:
``daemon.outages``.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud.endpoint import FAULTS_PATH
from cortex_cdk.localcloud.settings import HOST

KILL_REPLICA, SLOW_REPLICA, UNREADY_REPLICA = "kill-replica", "slow-replica", "unready-replica"
NO_CAPACITY, LAUNCH_FAILURE, SPOT_NOTICE = "no-capacity", "launch-failure", "spot-notice"
S3_DOWN, LOGS_DOWN, DAEMON_KILL = "s3-down", "logs-down", "daemon-kill"

REPLICA_KINDS = (KILL_REPLICA, SLOW_REPLICA, UNREADY_REPLICA)
"""Kinds that strike one replica of a service."""
GROUP_KINDS = (NO_CAPACITY, LAUNCH_FAILURE, SPOT_NOTICE)
"""Kinds that strike the instances of an Auto Scaling group."""
OUTAGES: Mapping[str, str] = MappingProxyType({S3_DOWN: "s3", LOGS_DOWN: "logs"})
"""Kinds that strike a whole service: its name in a request's signature."""
KINDS = (*REPLICA_KINDS, *GROUP_KINDS, *OUTAGES, DAEMON_KILL)
ONCE = (KILL_REPLICA, SPOT_NOTICE)
"""Kinds that may strike a single time."""
EVERY_GROUP = "*"
LONGEST_S = 7 * 24 * 3600.0
ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Fault:
    """A fault that goes on.

    Attributes:
        kind: One of ``KINDS``.
        target: The ECS service (``cluster/service``) or the Auto Scaling group; empty for a whole service.
        seconds: Until its end.
        detail: What it has struck, in words.
    """

    kind: str
    target: str
    seconds: float
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fault as plain values."""
        return asdict(self)


class FaultDoor:
    """The door of a running daemon at which faults are made, listed and ended.

    Args:
        control_url: The base URL of its AWS API.
    """

    def __init__(self, control_url: str) -> None:
        self._port = int(control_url.rpartition(":")[2])

    def begin(self, kind: str, target: str, seconds: float) -> list[Fault]:
        """Make a fault. One of the same kind and target is replaced.

        Args:
            kind: One of ``KINDS``, but not ``daemon-kill``.
            target: As ``Fault.target``.
            seconds: For how long; 0 kills one replica, or takes one instance, once.

        Returns:
            All faults that go on.

        Raises:
            LocalCloudError: Nothing can be struck so, or the daemon does not answer.
        """
        return self._ask("POST", {"kind": kind, "target": target, "seconds": seconds})

    def end(self, kind: str, target: str) -> list[Fault]:
        """End a fault before its time. Returns the faults that go on."""
        return self._ask("DELETE", {"kind": kind, "target": target})

    def active(self) -> list[Fault]:
        """Return the faults that go on."""
        return self._ask("GET", None)

    def _ask(self, method: str, content: dict[str, Any] | None) -> list[Fault]:
        # Not by urllib, which would ask a proxy of the environment.
        connection = http.client.HTTPConnection(HOST, self._port, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.request(method, FAULTS_PATH, json.dumps(content) if content else None)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise LocalCloudError(
                f"The local cloud does not answer: {type(error).__name__}: {error}", hint="See: cortex local status"
            ) from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise LocalCloudError(str(found.get("message")))
        return [Fault(**fault) for fault in found["faults"]]
