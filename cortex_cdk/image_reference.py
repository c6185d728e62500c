"""References of images in ECR, as ``docker pull`` takes them (Amazon ECR user guide, "Pulling an image")."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class EcrImage:
    """An image in a repository of ECR.

    Attributes:
        account: The 12 digits of the account that has the repository.
        region: The repository's region.
        repository: The repository's name.
        tag: The tag, if the reference has one.
        digest: ``sha256:`` and 64 hexadecimal digits, if the reference has them.
    """

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None


def parse_ecr(reference: str) -> EcrImage | None:
    """Take a reference apart.

    Returns:
        None for an image that is not in ECR.
    """
    match = _REFERENCE.fullmatch(reference)
    return EcrImage(**match.groupdict()) if match else None


def repository_uri(account: str, region: str, repository: str) -> str:
    """Return the address of a repository, to which a tag or digest is appended."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{repository}"
