"""Stores and restores image repositories. An image's manifest names the environment that the image stands for."""

from __future__ import annotations

from typing import Any

from moto.ecr.models import Image, ecr_backends

from cortex_cdk.localcloud.daemon.records.store import Record
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

FOLDER = "images"


def read() -> dict[str, Record]:
    """Return the record of every repository by its name."""
    repositories: dict[str, Any] = ecr_backends[ACCOUNT_ID][REGION].repositories
    return {
        name: {"name": name, "images": [_described(image) for image in repository.images]}
        for name, repository in repositories.items()
    }


def restore(record: Record) -> None:
    """Put the images of a repository in place, and make the repository where no stack has made it."""
    backend: Any = ecr_backends[ACCOUNT_ID][REGION]
    name = record["name"]
    if name not in backend.repositories:
        backend.create_repository(name, None, None, None, "MUTABLE", [])
    for image in record["images"]:
        for tag in image["tags"] or [None]:
            made = backend.put_image(name, image["manifest"], tag, image["media_type"], image["digest"])
            made.image_pushed_at = image["pushed"]


def _described(image: Image) -> Record:
    return {
        "digest": image.get_image_digest(),
        "tags": list(image.image_tags),
        "pushed": image.image_pushed_at,
        "media_type": image.image_manifest_media_type,
        "manifest": image.image_manifest,
    }
