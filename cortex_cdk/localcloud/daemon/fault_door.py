"""The door at which faults are made, listed and ended: not part of any AWS API, and open to the daemon's own user only.

    POST   {"group": NAME, "seconds": 30, "code": "VcpuLimitExceeded"}   no instance of the group is launched
    DELETE {"group": NAME}                                               instances are launched again
    GET                                                                  the faults that go on

``NAME`` is an Auto Scaling group, or ``*`` for every group, also for groups that are not made yet.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION
from cortex_cdk.localcloud.state_lock import STATE_LOCK

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST_S = 7 * 24 * 3600.0
Answer = tuple[str, dict[str, Any]]
"""Status line and content."""


def answer(environ: WSGIEnvironment) -> Answer:
    """Answer one request.

    Args:
        environ: The request (WSGI).
    """
    method = environ["REQUEST_METHOD"]
    try:
        wanted = json.loads(environ["wsgi.input"].read() or b"{}")
        with STATE_LOCK:
            return "200 OK", _changed(method, wanted)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return "400 Bad Request", {"message": f"No fault was made: {error}"}


def _changed(method: str, wanted: dict[str, Any]) -> dict[str, Any]:
    # Imported late: moto reads its settings when it is imported.
    from moto.autoscaling.models import autoscaling_backends

    from cortex_cdk.localcloud.services.autoscaling.groups import AutoScalingBackend
    from cortex_cdk.localcloud.services.autoscaling.launch_faults import DEFAULT_CODE, LaunchFault

    backend: Any = autoscaling_backends[ACCOUNT_ID][REGION]
    if not isinstance(backend, AutoScalingBackend):
        raise TypeError("there is no Auto Scaling")
    if method == "POST":
        seconds = float(wanted["seconds"])
        if not 0 < seconds <= LONGEST_S:
            raise ValueError(f"seconds must be above 0 and at most {LONGEST_S:g}, not {seconds:g}")
        fault = LaunchFault.lasting(seconds, wanted.get("code") or DEFAULT_CODE, wanted.get("message"))
        backend.fail_launches(str(wanted["group"]), fault)
    elif method == "DELETE":
        backend.let_launch(str(wanted["group"]))
    now = time.time()
    return {
        "launch_faults": [
            {"group": group, "code": fault.code, "message": fault.message, "seconds": round(fault.until - now, 1)}
            for group, fault in backend.launch_faults.items()
            if not fault.is_over
        ]
    }
