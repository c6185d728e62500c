"""The clock for how long something has lasted, or is to last: seconds since the epoch that nobody sets.

A moment of this clock may be stored: it is that of the machine's clock when the daemon started, and goes on from there
whatever becomes of the machine's clock meanwhile (set by hand, by NTP after a long sleep, or by a virtual machine's
host). Moments that people or AWS clients read are those of the machine's clock.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

_BEGAN = time.time() - time.monotonic()


def now() -> float:
    """Return this moment, in seconds since the epoch."""
    return _BEGAN + time.monotonic()


def moment() -> datetime:
    """Return this moment."""
    return datetime.fromtimestamp(now(), timezone.utc)
