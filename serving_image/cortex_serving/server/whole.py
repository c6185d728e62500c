"""A request that came whole, in one piece, is taken without waitress's bookkeeping for parts of requests."""

from __future__ import annotations

from typing import Any

from waitress.channel import HTTPChannel


class WholeRequests(HTTPChannel):  # type: ignore[misc]
    """Channels on which one whole request at a time is what usually comes."""

    def received(self, data: bytes) -> bool:
        """Take bytes: one whole ordinary request at once, everything else waitress's way."""
        # Between requests only the thread that receives changes any of these, so that no lock is needed.
        if self.request is None and not self.requests and not self.close_when_flushed and not self.will_close:
            request: Any = self.parser_class(self.adj)
            if request.take_whole(data):
                self.sent_continue = False
                self.requests.append(request)
                self.server.add_task(self)
                return True
        taken: bool = super().received(data)
        return taken
