"""Answers for the parameters in which AWS publishes machine images, and lets the user publish a newer image.

On AWS only Amazon writes these parameters (``PutParameter`` is denied). Nobody is Amazon here, so the user may, to see
what a newer image means: ``aws ssm put-parameter --overwrite --name NAME --value ami-...``.
"""

from __future__ import annotations

import hashlib
from typing import Any

from moto.core.utils import utcnow
from moto.ssm.models import Parameter, SimpleSystemManagerBackend

PUBLIC_PARAMETERS = "/aws/service/"
PUBLISHED = "published_images"
"""The attribute of moto's back end that holds the images of the user, by the parameter's name. It is stored with it."""


def is_public_image(name: str) -> bool:
    """Return whether a parameter is one in which AWS publishes a machine image."""
    return name.startswith(PUBLIC_PARAMETERS) and name.endswith("image_id")


def published(backend: SimpleSystemManagerBackend) -> dict[str, Parameter]:
    """Return the images that the user has published, by the parameter's name."""
    images: dict[str, Parameter] = backend.__dict__.setdefault(PUBLISHED, {})
    return images


def install() -> None:
    """Make moto answer so. Call this once, before the first request."""
    known_one, known_some = SimpleSystemManagerBackend.get_parameter, SimpleSystemManagerBackend.get_parameters
    known_put = SimpleSystemManagerBackend.put_parameter

    def get_parameter(self: SimpleSystemManagerBackend, name: str) -> Parameter | None:
        if not is_public_image(name):
            return known_one(self, name)
        return published(self).get(name) or known_one(self, name) or _image(self, name, _made_up(name), version=1)

    def get_parameters(self: SimpleSystemManagerBackend, names: list[str]) -> dict[str, Parameter]:
        images = {name: get_parameter(self, name) for name in names if is_public_image(name)}
        found = known_some(self, [name for name in names if name not in images])
        return {**found, **{name: image for name, image in images.items() if image}}

    def put_parameter(
        self: SimpleSystemManagerBackend, name: str, description: str, value: str, *arguments: Any, **named: Any
    ) -> Parameter:
        current = get_parameter(self, name) if is_public_image(name) else None
        if current is None:
            return known_put(self, name, description, value, *arguments, **named)
        image = _image(self, name, value, version=current.version + 1)
        published(self)[name] = image
        return image

    # moto's methods are replaced, and not its class, of which stored accounts have instances.
    SimpleSystemManagerBackend.get_parameter = get_parameter  # type: ignore[method-assign]
    SimpleSystemManagerBackend.get_parameters = get_parameters  # type: ignore[method-assign]
    SimpleSystemManagerBackend.put_parameter = put_parameter  # type: ignore[method-assign]


def _made_up(name: str) -> str:
    """Return an image for a parameter that moto's data lacks. The same name gives the same image."""
    return "ami-" + hashlib.sha256(name.encode()).hexdigest()[:17]


def _image(backend: SimpleSystemManagerBackend, name: str, value: str, *, version: int) -> Parameter:
    return Parameter(  # type: ignore[abstract] # abstract in moto only for its own CloudFormation
        account_id=backend.account_id,
        name=name,
        value=value,
        parameter_type="String",
        description=None,
        allowed_pattern=None,
        keyid=None,
        last_modified_date=utcnow(),
        version=version,
        data_type="aws:ec2:image",
        tier="Standard",
    )
