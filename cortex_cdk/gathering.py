"""After a deployment: waits until as many replicas serve as the configuration wants at least.

What was deployed serves by then. But where only ``min_replicas`` was raised, Application Auto Scaling adds replicas
once the stack is done, and "updated" would be said before there are any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from cortex_cdk.deploy.patience import pauses
from cortex_cdk.deploy.progress import Progress
from cortex_cdk.errors import NotDeployedError
from cortex_cdk.status import LIVE, UPDATING, ApiStatus

LONGEST_WAIT = 120.0
"""Seconds. Not longer: the deployment is done, and a model may take its time."""


def gather(read: Callable[[str], ApiStatus], minimums: Mapping[str, int], progress: Progress) -> None:
    """Wait for the replicas of APIs, and tell what they wait for.

    Args:
        read: The status of an API by its name.
        minimums: ``min_replicas`` by API.
        progress: Hears of those that are not there at once.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    for name, minimum in minimums.items():
        try:
            _wait(read, name, minimum, deadline, progress)
        except NotDeployedError:
            continue  # somebody has deleted it meanwhile


def _wait(read: Callable[[str], ApiStatus], name: str, minimum: int, deadline: float, progress: Progress) -> None:
    told = None
    for pause in pauses():
        api = read(name)
        if api.replicas.up_to_date >= minimum:
            return
        news = f"{api.replicas.up_to_date} of {minimum} replicas serve"
        if api.reason:
            news += f": {api.reason}"
        if news != told:
            progress.step(name, news)
            told = news
        if api.status not in (LIVE, UPDATING) or time.monotonic() > deadline:
            progress.step(name, "deployed all the same: the others may follow")
            return
        time.sleep(pause)
