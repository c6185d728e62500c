"""The one lock of the embedded cloud.

moto's back ends are plain dictionaries that several threads touch: the control plane's request threads,
stack operations, the scheduler and the health checker. Whoever changes or copies them (a snapshot, for
one) holds this lock while doing so, and never while waiting for a process, a file download or the network.
"""

from __future__ import annotations

import threading

STATE_LOCK = threading.RLock()
