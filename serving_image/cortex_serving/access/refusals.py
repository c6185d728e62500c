"""The answers to who may not use the API."""

from __future__ import annotations

import falcon


class AccessRefused(falcon.HTTPError):
    """Any of them: an answer of ours, not of the predictor."""


class KeyMissing(AccessRefused, falcon.HTTPUnauthorized):
    """401: the request has no key, or none that could be one of the cluster's.

    ``WWW-Authenticate`` names the scheme (RFC 6750, 3).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(description=reason, challenges=["Bearer"])


class NotAllowed(AccessRefused, falcon.HTTPForbidden):
    """403: it is known who asks, and that is not allowed."""

    def __init__(self, reason: str) -> None:
        super().__init__(description=reason)


class KeysUnknown(AccessRefused, falcon.HTTPServiceUnavailable):
    """503: nobody can be let in, as the replica does not know which keys are good."""

    def __init__(self) -> None:
        reason = "the API keys cannot be read, so that nobody is let in; the logs say why"
        super().__init__(description=reason, headers={"Retry-After": "5"})
