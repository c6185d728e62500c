"""Sets moto up as an account that lives for weeks, not as a test double. Call this before moto is imported."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

SETTINGS = {
    # A web page must not read our answers. moto allows every origin unless this is set.
    "MOTO_DISABLE_GLOBAL_CORS": "true",
    # A thousand public images that nobody asks for would be the largest part of every snapshot.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    # A requested certificate is issued at once: no name server is asked.
    "MOTO_ACM_VALIDATION_WAIT": "-1",
}


OFFERINGS = "instance_type_offerings"


def prepare(region: str) -> None:
    """Set moto up.

    Args:
        region: The only region. moto would otherwise read the tables of all regions, and find the regions in the API
            models of every service: 150 MiB, and a second of the start.
    """
    os.environ.update(SETTINGS)
    import boto3
    from moto.core.common_models import BaseModel
    from moto.utilities import utils

    def regions(_session: Any, _service: str, partition_name: str = "aws", **_other: Any) -> list[str]:
        return [region] if partition_name == "aws" else []

    load = utils.load_resource

    def load_resource(resource: str) -> Any:
        return [] if OFFERINGS in resource and f"{region}." not in resource else load(resource)

    boto3.Session.get_available_regions = regions  # type: ignore[assignment]
    utils.load_resource = load_resource
    # moto remembers every object for its reset button. In a daemon that would be a leak.
    BaseModel.__new__ = staticmethod(lambda cls, *args, **kwargs: object.__new__(cls))  # type: ignore[method-assign]
    _remember_what_stays()


def _remember_what_stays() -> None:
    """Find out once what moto finds out anew for each request: half of the time that a short one takes."""
    from moto import backends
    from moto.core import responses

    # The folders of moto's services, of which there are 170.
    modules = frozenset(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    # The actions of a service, which are the methods of a class.
    found: Any = responses
    found.method_names_from_class = cache(found.method_names_from_class)
