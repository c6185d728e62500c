"""A pause when connections cannot be accepted, instead of one failing attempt after the other at full speed.

What a predictor has used up, such as file descriptors, may come back. Connections wait in the kernel meanwhile, or go
to another worker.
"""

from __future__ import annotations

import errno
import logging
import resource
import time

PAUSE = 0.5  # seconds, as nginx waits
_SAY_AGAIN = 30.0  # seconds between two lines in the log
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = logging.getLogger(__name__)


class AcceptBackoff:
    """Knows whether a server should accept connections now."""

    def __init__(self) -> None:
        self._paused_until = self._said = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether connections may be accepted (again)."""
        return time.monotonic() >= self._paused_until

    def failed(self, error: OSError) -> bool:
        """Begin a pause if a resource was missing when a connection was to be accepted.

        Returns:
            Whether a pause begins.
        """
        if error.errno not in SCARCE:
            return False
        now = time.monotonic()
        self._paused_until = now + PAUSE
        if now - self._said > _SAY_AGAIN:
            self._said = now
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            advice = f": close files, this process may have {limit} open" if error.errno == errno.EMFILE else ""
            logger.error("connections wait, as none can be accepted: %s%s", error.strerror, advice)
        return True

    def end(self) -> None:
        """End the pause: room was made."""
        self._paused_until = float("-inf")
