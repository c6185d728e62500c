"""A server that waits when it cannot accept connections, instead of trying again and again at full speed."""

from __future__ import annotations

import errno
import logging
import resource
import time
from typing import Any

PAUSE = 0.5  # seconds, as nginx waits
_SAY_AGAIN = 30.0
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = logging.getLogger(__name__)


class PatientAccepts:
    """Mixin for waitress's server: what a predictor has used up, such as file descriptors, may come back.

    Connections wait in the kernel meanwhile, or go to another worker.
    """

    loop: Any
    _paused_until = _said = float("-inf")

    def accept(self) -> Any:
        """As of waitress's server."""
        try:
            return super().accept()  # type: ignore[misc]
        except OSError as error:
            if error.errno in _SCARCE:
                self._pause(error)
            raise

    def readable(self) -> bool:
        """Whether to accept connections."""
        return time.monotonic() >= self._paused_until and bool(super().readable())  # type: ignore[misc]

    def _pause(self, error: OSError) -> None:
        now = time.monotonic()
        self._paused_until = now + PAUSE
        self.loop.attend(self)
        if now - self._said > _SAY_AGAIN:
            self._said = now
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            advice = f": close files, this process may have {limit} open" if error.errno == errno.EMFILE else ""
            logger.error("connections wait, as none can be accepted: %s%s", error.strerror, advice)
