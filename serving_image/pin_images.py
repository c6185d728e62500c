"""Pins the images that the Dockerfiles name to what their tags mean today (``make pin-images``).

    python pin_images.py DOCKERFILE...

A tag is moved by whoever owns it; a digest names the same bytes for ever. The registries are asked as any client asks
them (https://distribution.github.io/distribution/spec/api/): for the digest of an index, which is for all platforms.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

_NAMED = re.compile(
    r"^(?P<before>ARG BASE_IMAGE=|FROM )(?P<host>[\w.-]+(?::\d+)?)/(?P<name>[\w./-]+):(?P<tag>[\w.-]+)"
    r"(?:@sha256:[0-9a-f]{64})?(?P<after>.*)$",
    re.MULTILINE,
)
_ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d+)?")
_SECONDS = 30.0


class CannotPinError(Exception):
    """A registry does not say what a tag means."""


@dataclass(frozen=True)
class Image:
    """What a Dockerfile names.

    Attributes:
        host: The registry.
        name: The repository in it.
        tag: The tag.
    """

    host: str
    name: str
    tag: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}:{self.tag}"


def named_images(dockerfile: str) -> list[Image]:
    """The images of registries that a Dockerfile names."""
    return [Image(match["host"], match["name"], match["tag"]) for match in _NAMED.finditer(dockerfile)]


def pinned(dockerfile: str) -> str:
    """The Dockerfile with the digest of today behind each of these names.

    Raises:
        CannotPinError: A registry could not be asked.
    """
    digests = {image: digest_of(image) for image in named_images(dockerfile)}

    def with_digest(match: re.Match[str]) -> str:
        image = Image(match["host"], match["name"], match["tag"])
        return f"{match['before']}{image}@{digests[image]}{match['after']}"

    return _NAMED.sub(with_digest, dockerfile)


def digest_of(image: Image) -> str:
    """What the tag of an image means now: ``sha256:`` and 64 hexadecimal digits.

    Raises:
        CannotPinError: The registry could not be asked.
    """
    scheme = "http" if _LOOPBACK.fullmatch(image.host) else "https"
    url = f"{scheme}://{image.host}/v2/{image.name}/manifests/{image.tag}"
    try:
        try:
            found = _ask(url, token=None)
        except HTTPError as error:
            if error.code != 401:
                raise
            found = _ask(url, _anonymous_token(error.headers.get("WWW-Authenticate", ""), image))
    except (URLError, OSError) as error:
        raise CannotPinError(f"{image}: {error}") from error
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
        raise CannotPinError(f"{image}: the registry named no digest")
    return found


def _ask(url: str, token: str | None) -> str:
    headers = {"Accept": _ACCEPTED, **({"Authorization": f"Bearer {token}"} if token else {})}
    with urlopen(Request(url, method="HEAD", headers=headers), timeout=_SECONDS) as answer:  # noqa: S310 - http(s) alone
        return str(answer.headers.get("Docker-Content-Digest", ""))


def _anonymous_token(challenge: str, image: Image) -> str:
    """The token that a registry gives to everybody (https://distribution.github.io/distribution/spec/auth/token/)."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm", "")
    if not re.match(r"https?://", realm):
        raise CannotPinError(f"{image}: the registry wants a login")
    query = urlencode({"scope": f"repository:{image.name}:pull", **asked})
    with urlopen(f"{realm}?{query}", timeout=_SECONDS) as answer:  # noqa: S310 - http(s) alone
        document = json.load(answer)
    return str(document.get("token") or document.get("access_token"))


def main(paths: Sequence[str]) -> int:
    """Pin the images of these Dockerfiles; nothing is written unless all registries have answered."""
    try:
        texts = {Path(name): pinned(Path(name).read_text(encoding="utf-8")) for name in paths}
    except CannotPinError as error:
        print(f"error: {error}", file=sys.stderr)
        print("hint: nothing was changed; the registries must be reachable from here", file=sys.stderr)
        return 1
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {len(named_images(text))} images pinned")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
