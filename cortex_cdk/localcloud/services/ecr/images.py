"""Images of the local cloud: entries of moto's ECR whose manifest names a folder of programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moto.ecr.models import ECRBackend, Image, ecr_backends

from cortex_cdk.image_reference import EcrImage, parse_ecr
from cortex_cdk.localcloud.containers.launch import CannotStartError
from cortex_cdk.localcloud.python_environments import environments
from cortex_cdk.localcloud.settings import ACCOUNT_ID
from cortex_cdk.localcloud.state_lock import STATE_LOCK

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
BINARIES = "dev.cortex.local.binaries"
COMMAND = "dev.cortex.local.command"
PROJECT = "dev.cortex.local.project"
SOURCE = "dev.cortex.local.source"
"""Annotations of a manifest: where the programs are, what runs by default, and what built the image from what."""


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


@dataclass(frozen=True)
class Origin:
    """What an image was built from.

    Attributes:
        project: The CodeBuild project.
        source: The build context in S3: bucket, slash, key.
    """

    project: str
    source: str


@dataclass(frozen=True)
class LostImage:
    """An image whose programs are gone: somebody removed the folder, or the Python that it was made with.

    Attributes:
        region: The region of its repository.
        repository: The repository's name.
        tag: The image's first tag.
        origin: What it was built from; None where the image does not say.
    """

    region: str
    repository: str
    tag: str
    origin: Origin | None


_awaited: set[tuple[str, str]] = set()
"""Repository and tag of the images that are being built again."""


def put(
    region: str, repository: str, tag: str, binaries: Path, command: Sequence[str], *, origin: Origin | None = None
) -> str:
    """Add an image to the registry. One with that tag keeps its digest, and has its programs in the new place.

    Args:
        region: The region of the repository.
        repository: Its name; it must exist.
        tag: The tag.
        binaries: The folder of the image's programs.
        command: What the image runs by default.
        origin: What it was built from.

    Returns:
        The digest of the image with that tag.
    """
    config = hashlib.sha256(tag.encode()).hexdigest()
    annotations = {BINARIES: str(binaries), COMMAND: json.dumps(list(command))}
    if origin:
        annotations |= {PROJECT: origin.project, SOURCE: origin.source}
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": f"sha256:{config}", "size": len(tag)},
            "layers": [],
            "annotations": annotations,
        },
        sort_keys=True,
    )
    with STATE_LOCK:
        backend: ECRBackend = ecr_backends[ACCOUNT_ID][region]
        existing = _find(backend, repository, tag=tag, digest=None)
        if existing is not None:
            # Task definitions name the image by its digest.
            existing.image_manifest = manifest
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
        image = _image(named) if named else None
        annotations = _annotations(image) if image else {}
    binaries = annotations.get(BINARIES)
    if image is None or binaries is None:
        raise CannotStartError(_not_found(reference))
    if not environments.has_programs(Path(binaries)):
        raise CannotStartError(
            f"CannotPullContainerError: the environment {binaries} of {reference} was removed "
            "(cortex local down, then deploy again: it is made anew)"
        )
    command = tuple(json.loads(annotations[COMMAND]))
    return LocalImage(digest=str(image.get_image_digest()), binaries=Path(binaries), command=command)


def is_awaited(reference: str) -> bool:
    """Return whether the image that a reference stands for is being built again.

    Args:
        reference: As for ``resolve``.
    """
    named = parse_ecr(reference) if _awaited else None
    with STATE_LOCK:
        image = _image(named) if named else None
    return image is not None and any((image.repository_name, tag) in _awaited for tag in image.image_tags)


def await_build(image: LostImage) -> None:
    """Let tasks of an image wait until ``end_wait`` says that it has been built again."""
    _awaited.add((image.repository, image.tag))


def end_wait(repository: str, tag: str) -> None:
    """Let tasks of an image wait no longer, whatever came of its build. An image that nobody awaits is no error."""
    _awaited.discard((repository, tag))


def lost() -> list[LostImage]:
    """Return the images whose programs are gone."""
    with STATE_LOCK:
        return [
            LostImage(region, repository.name, image.image_tags[0], _origin(image))
            for region, backend in list(ecr_backends[ACCOUNT_ID].items())
            for repository in backend.repositories.values()
            for image in repository.images
            if image.image_tags and _is_lost(image)
        ]


def forget(image: LostImage) -> None:
    """Remove an image from the registry, so that it is built again when somebody asks for it."""
    with STATE_LOCK:
        repository = ecr_backends[ACCOUNT_ID][image.region].repositories[image.repository]
        repository.images = [known for known in repository.images if image.tag not in known.image_tags]


def _is_lost(image: Image) -> bool:
    binaries = _annotations(image).get(BINARIES)
    return binaries is not None and not environments.has_programs(Path(binaries))


def _origin(image: Image) -> Origin | None:
    annotations = _annotations(image)
    return Origin(annotations[PROJECT], annotations[SOURCE]) if SOURCE in annotations else None


def _annotations(image: Image) -> dict[str, str]:
    annotations: dict[str, str] = json.loads(image.image_manifest).get("annotations", {})
    return annotations


def _image(named: EcrImage) -> Image | None:
    backend = ecr_backends[ACCOUNT_ID][named.region]
    return _find(backend, named.repository, tag=named.tag, digest=named.digest)


def _find(backend: ECRBackend, repository: str, *, tag: str | None, digest: str | None) -> Image | None:
    found = backend.repositories.get(repository)
    for image in found.images if found else []:
        if image.get_image_digest() == digest if digest else (tag or "latest") in image.image_tags:
            return image
    return None


def _not_found(reference: str) -> str:
    """Return the reason of a task whose image cannot be pulled: the beginning as the ECS agent words it."""
    return (
        f"CannotPullContainerError: failed to resolve ref {reference}: not found; the local cloud runs no containers, "
        "only what was built in it (leave predictor.image out here)"
    )
