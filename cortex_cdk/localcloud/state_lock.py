"""The one lock of the local cloud.

moto's back ends are plain dictionaries. Several threads use them: those of the API server, of stack operations, of the
scheduler and of the health checker. A thread holds this lock while it changes or copies a back end, and never while it
waits for a process, a download or the network.
"""

from __future__ import annotations

import threading

STATE_LOCK = threading.RLock()
