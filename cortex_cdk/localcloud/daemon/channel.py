"""A connection to the AWS API: waitress's, which does not wait for the body of a request that has none.

boto3 uploads an empty object with ``Expect: 100-continue`` and ``Content-Length: 0``. waitress would say "continue",
and take the request for unfinished ever after.
"""

from __future__ import annotations

from waitress.channel import HTTPChannel


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection."""

    def send_continue(self) -> None:
        """Ask for the body, unless the request is complete without one."""
        if not self.request.completed:
            super().send_continue()
