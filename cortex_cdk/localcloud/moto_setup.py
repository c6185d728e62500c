"""moto as an account that lives for weeks, and not as a test double. To be called before moto is imported."""

from __future__ import annotations

import os

SETTINGS = {
    # A web page must not read our answers; moto allows every origin unless told otherwise.
    "MOTO_DISABLE_GLOBAL_CORS": "true",
    # A thousand public images that nobody asks for would be the largest part of every snapshot.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}


def prepare() -> None:
    """Set moto up."""
    os.environ.update(SETTINGS)
    from moto.core.common_models import BaseModel

    # moto remembers every object that it ever made (for its reset button), which in a daemon is a leak.
    BaseModel.__new__ = staticmethod(lambda cls, *args, **kwargs: object.__new__(cls))  # type: ignore[method-assign]
