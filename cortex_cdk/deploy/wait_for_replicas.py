"""After a deployment: waits until as many replicas serve as ``min_replicas`` asks for.

The new revision serves by then. But where only ``min_replicas`` was raised, Application Auto Scaling adds replicas once
the stack is done, and "updated" would be said before there are any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from cortex_cdk.aws.polling import pauses
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.status.read_status import LIVE, UPDATING, ApiStatus

LONGEST_WAIT = 120.0
"""Seconds. Not longer: the deployment is done, and a model may take its time."""


def wait_for_replicas(
    read: Callable[[Collection[str]], Sequence[ApiStatus]], minimums: Mapping[str, int], progress: Progress
) -> None:
    """Wait until enough replicas of APIs serve, for two minutes at most, and tell what they wait for.

    Args:
        read: Reads the status of APIs by their names; leaves out those that somebody has deleted meanwhile.
        minimums: ``min_replicas`` by API.
        progress: Hears of the APIs that have too few.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    waiting: Collection[str] = minimums.keys()
    told: dict[str, str] = {}
    for pause in pauses():
        short = [api for api in read(waiting) if api.replicas.up_to_date < minimums[api.name]]
        for api in short:
            news = _shortfall(api, minimums[api.name])
            if news != told.get(api.name):
                progress.step(api.name, news)
                told[api.name] = news
        is_late = time.monotonic() > deadline
        given_up = [api.name for api in short if is_late or api.status not in (LIVE, UPDATING)]
        for name in given_up:
            progress.step(name, "deployed all the same: the others may follow")
        waiting = [api.name for api in short if api.name not in given_up]
        if not waiting:
            return
        time.sleep(pause)


def _shortfall(api: ApiStatus, minimum: int) -> str:
    news = f"{api.replicas.up_to_date} of {minimum} replicas serve"
    return f"{news}: {api.reason}" if api.reason else news
