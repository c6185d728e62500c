"""The door at which faults are made, listed and ended: not part of any AWS API, and open to the daemon's own user only.

    POST   {"kind": "no-capacity", "target": GROUP, "seconds": 30}   makes a fault
    DELETE {"kind": "no-capacity", "target": GROUP}                  ends a fault
    GET                                                              answers like the others: the faults that go on

``localcloud.faults`` has the kinds, and is the other side of the door. A fault that lets launches fail takes ``code``
and ``message``, too: those of EC2 (``autoscaling.launch_faults``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.faults import (
    EVERY_GROUP,
    GROUP_KINDS,
    LAUNCH_FAILURE,
    LONGEST_S,
    NO_CAPACITY,
    ONCE,
    OUTAGES,
    REPLICA_KINDS,
    SPOT_NOTICE,
    Fault,
)
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION
from cortex_cdk.localcloud.state_lock import STATE_LOCK

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from cortex_cdk.localcloud.daemon.outages import Outages
    from cortex_cdk.localcloud.services.autoscaling.groups import AutoScalingBackend
    from cortex_cdk.localcloud.services.ecs.service import Service

Answer = tuple[str, dict[str, Any]]
"""Status line and content."""


class FaultDoor:
    """Answers requests about faults.

    Args:
        outages: The services that are down.
        changed: Is called after a fault was made or ended.
    """

    def __init__(self, outages: Outages, changed: Callable[[], None]) -> None:
        self._outages = outages
        self._changed = changed

    def answer(self, environ: WSGIEnvironment) -> Answer:
        """Answer one request.

        Args:
            environ: The request (WSGI).
        """
        method = environ["REQUEST_METHOD"]
        try:
            wanted = json.loads(environ["wsgi.input"].read() or b"{}")
            with STATE_LOCK:
                if method == "POST":
                    self._begin(str(wanted["kind"]), str(wanted["target"]), float(wanted["seconds"]), wanted)
                elif method == "DELETE":
                    self._end(str(wanted["kind"]), str(wanted["target"]))
                found = [fault.as_json() for fault in self._active()]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return "400 Bad Request", {"message": f"no fault was made: {error}"}
        if method != "GET":
            self._changed()
        return "200 OK", {"faults": found}

    def _begin(self, kind: str, target: str, seconds: float, wanted: dict[str, Any]) -> None:
        if not 0 <= seconds <= LONGEST_S or (seconds == 0 and kind not in ONCE):
            raise ValueError(f"seconds must be above 0 and at most {LONGEST_S:g}, not {seconds:g}")
        if kind in REPLICA_KINDS:
            from cortex_cdk.localcloud.services.ecs import replica_faults

            replica_faults.begin(_service(target), kind, seconds)
        elif kind == SPOT_NOTICE:
            _give_notice(target, seconds)
        elif kind in GROUP_KINDS:
            from cortex_cdk.localcloud.services.autoscaling.launch_faults import CODES, LaunchFault

            fault = LaunchFault.lasting(seconds, wanted.get("code") or CODES[kind], wanted.get("message"))
            _autoscaling().fail_launches(target, fault)
        elif kind in OUTAGES:
            self._outages.begin(OUTAGES[kind], seconds)
        else:
            raise ValueError(f"{kind!r} is no kind of fault")

    def _end(self, kind: str, target: str) -> None:
        if kind in REPLICA_KINDS:
            from cortex_cdk.localcloud.services.ecs import replica_faults

            replica_faults.end(_service(target), kind)
        elif kind in OUTAGES:
            self._outages.end(OUTAGES[kind])
        elif kind in (NO_CAPACITY, LAUNCH_FAILURE):
            _autoscaling().let_launch(target)

    def _active(self) -> Iterator[Fault]:
        now = steady_clock.now()
        yield from _of_replicas(now)
        yield from _of_instances(now)
        down = self._outages.active()
        yield from (Fault(kind, "", round(down[name], 1)) for kind, name in OUTAGES.items() if name in down)


def _of_replicas(now: float) -> Iterator[Fault]:
    for service in _services():
        for kind, fault in service.faults.items():
            detail = f"replica {fault.victim}" if fault.victim else ""
            yield Fault(kind, service.cluster_and_name, round(max(0.0, fault.until - now), 1), detail)


def _of_instances(now: float) -> Iterator[Fault]:
    from cortex_cdk.localcloud.services.autoscaling.groups import groups

    for leaving in groups(REGION):
        noticed = [(one.noticed_at + one.notice_seconds, one.id) for one in leaving.members if one.noticed_at]
        yield from (Fault(SPOT_NOTICE, leaving.name, round(max(0, end - now), 1), name) for end, name in noticed)
    for group, stop in _autoscaling().launch_faults.items():
        if not stop.is_over:
            kind = NO_CAPACITY if stop.is_lack_of_capacity else LAUNCH_FAILURE
            yield Fault(kind, group, round(stop.until - now, 1), stop.code)


def _autoscaling() -> AutoScalingBackend:
    # Imported late: moto reads its settings when it is imported.
    from moto.autoscaling.models import autoscaling_backends

    from cortex_cdk.localcloud.services.autoscaling.groups import AutoScalingBackend

    backend: Any = autoscaling_backends[ACCOUNT_ID][REGION]
    if not isinstance(backend, AutoScalingBackend):
        raise TypeError("there is no Auto Scaling")
    return backend


def _give_notice(target: str, seconds: float) -> None:
    from cortex_cdk.localcloud.services.autoscaling.groups import groups

    found = [group for group in groups(REGION) if target in (group.name, EVERY_GROUP)]
    if not found:
        raise ValueError(f"there is no Auto Scaling group {target}")
    struck = [group.name for group in found if group.give_notice(seconds)]
    if not struck:
        raise ValueError("no instance is in service that EC2 could take back")


def _services() -> Iterator[Service]:
    from cortex_cdk.localcloud.services.ecs.backend import backends

    for backend in backends():
        yield from backend.all_services()


def _service(target: str) -> Service:
    for service in _services():
        if service.cluster_and_name == target:
            return service
    raise ValueError(f"there is no ECS service {target}")
