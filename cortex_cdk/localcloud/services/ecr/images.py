"""Images of the local cloud: entries of moto's ECR whose manifest names a folder of programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moto.ecr.models import ECRBackend, Image, ecr_backends

from cortex_cdk.image_reference import parse_ecr
from cortex_cdk.localcloud.containers.launch import CannotStartError
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
BINARIES = "dev.cortex.local.binaries"
COMMAND = "dev.cortex.local.command"


@dataclass(frozen=True)
class LocalImage:
    """What an image reference stands for on this machine.

    Attributes:
        digest: The image's digest in the registry.
        binaries: The folder of its programs.
        command: What it runs by default.
    """

    digest: str
    binaries: Path
    command: tuple[str, ...]


def put(region: str, repository: str, tag: str, binaries: Path, command: Sequence[str]) -> str:
    """Add an image to the registry.

    Args:
        region: The region of the repository.
        repository: Its name; it must exist.
        tag: The tag. Where it is taken already, nothing changes.
        binaries: The folder of the image's programs.
        command: What the image runs by default.

    Returns:
        The digest of the image with that tag.
    """
    config = hashlib.sha256(tag.encode()).hexdigest()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": f"sha256:{config}", "size": len(tag)},
            "layers": [],
            "annotations": {BINARIES: str(binaries), COMMAND: json.dumps(list(command))},
        },
        sort_keys=True,
    )
    with STATE_LOCK:
        backend: ECRBackend = ecr_backends[ACCOUNT_ID][region]
        existing = _find(backend, repository, tag=tag, digest=None)
        if existing is not None:
            return str(existing.get_image_digest())
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        backend.put_image(repository, manifest, tag, MANIFEST_TYPE, digest)
        return digest


def resolve(reference: str) -> LocalImage:
    """Find what an image reference stands for.

    Args:
        reference: As in a container definition: registry, repository, tag or digest.

    Raises:
        CannotStartError: It is not in this cloud's registry, or its folder is gone.
    """
    named = parse_ecr(reference)
    with STATE_LOCK:
        image = None
        if named:
            backend = ecr_backends[ACCOUNT_ID][named.region]
            image = _find(backend, named.repository, tag=named.tag, digest=named.digest)
        manifest = json.loads(image.image_manifest) if image else {}
    binaries = manifest.get("annotations", {}).get(BINARIES)
    if image is None or binaries is None:
        raise CannotStartError(_not_found(reference))
    if not Path(binaries).is_dir():
        raise CannotStartError(
            f"CannotPullContainerError: the environment {binaries} of {reference} was removed "
            "(cortex local down, then deploy again: it is made anew)"
        )
    command = tuple(json.loads(manifest["annotations"][COMMAND]))
    return LocalImage(digest=str(image.get_image_digest()), binaries=Path(binaries), command=command)


def forget_removed() -> None:
    """Remove the images from the registry whose folder is gone, so that they are built again when asked for."""
    with STATE_LOCK:
        for backend in list(ecr_backends[ACCOUNT_ID].values()):
            for repository in backend.repositories.values():
                repository.images = [image for image in repository.images if not _is_removed(image)]


def _is_removed(image: Image) -> bool:
    binaries = json.loads(image.image_manifest).get("annotations", {}).get(BINARIES)
    return binaries is not None and not Path(binaries).is_dir()


def _find(backend: ECRBackend, repository: str, *, tag: str | None, digest: str | None) -> Image | None:
    found = backend.repositories.get(repository)
    for image in found.images if found else []:
        if image.get_image_digest() == digest if digest else (tag or "latest") in image.image_tags:
            return image
    return None


def _not_found(reference: str) -> str:
    """The reason of a task whose image cannot be pulled: the beginning as the ECS agent words it."""
    return (
        f"CannotPullContainerError: failed to resolve ref {reference}: not found; the local cloud runs no containers, "
        "only what was built in it (leave predictor.image out here)"
    )
