"""Whether the running interpreter already meets a requirements file, so that nothing need be built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement

CONTINUATION = re.compile(r"\\\r?\n")
COMMENT = re.compile(r"(?:^|\s)#.*$")


def are_satisfied(text: str) -> bool:
    """Whether every requirement of a file is met by what is installed beside this module.

    Lines that say more than a name and a version (URLs, ``-r``, ``--index-url``, hashes, paths) count as not
    met: what they ask for cannot be told from what is installed.

    Args:
        text: The content of a requirements file (pip's "Requirements File Format").
    """
    try:
        return all(_is_satisfied(requirement, "") for requirement in parse(text))
    except InvalidRequirement:
        return False


def parse(text: str) -> Iterator[Requirement]:
    """The requirements of a file.

    Raises:
        InvalidRequirement: A line is something else than a requirement.
    """
    for line in CONTINUATION.sub(" ", text).splitlines():
        content = COMMENT.sub("", line).strip()
        if content:
            yield Requirement(content)


def _is_satisfied(requirement: Requirement, extra: str) -> bool:
    if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
        return True
    if requirement.url:
        return False
    try:
        installed = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    if not requirement.specifier.contains(installed.version, prereleases=True):
        return False
    return all(_has_extra(installed, name) for name in requirement.extras)


def _has_extra(installed: metadata.Distribution, extra: str) -> bool:
    """Whether everything that an extra of an installed package adds is installed too."""
    if extra not in (installed.metadata.get_all("Provides-Extra") or []):
        return False
    added = [Requirement(line) for line in installed.requires or []]
    return all(
        _is_satisfied(requirement, extra)
        for requirement in added
        if requirement.marker and "extra" in str(requirement.marker)
    )
