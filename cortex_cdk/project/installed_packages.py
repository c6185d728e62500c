"""Names the installed packages that modules come from, as lines of ``requirements.txt``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata

# Every replica has them.
_PROVIDED = frozenset({"cortex_serving"})
_CODE = (".py", ".so", ".pyd")


def as_requirements(modules: Iterable[str]) -> list[str]:
    """Return the packages of modules, each in the version that is installed here.

    Args:
        modules: Names of top-level modules; those of Python itself, and of no package, are left out.
    """
    wanted = {module for module in modules if module not in sys.stdlib_module_names and module not in _PROVIDED}
    if not wanted:
        return []
    found = {package.metadata["Name"] for package in metadata.distributions() if wanted & _modules(package)}
    # A local version, such as 2.9.0+cpu, is of an index that replicas do not ask.
    return sorted(f"{name}=={_public(metadata.version(name))}" for name in found)


def _modules(package: metadata.Distribution) -> set[str]:
    """The top-level modules of a package. (``packages_distributions`` of Python 3.10 misses those of many wheels.)"""
    named = (package.read_text("top_level.txt") or "").split()
    files = package.files or () if not named else ()
    return {*named, *(file.parts[0].partition(".")[0] for file in files if file.suffix in _CODE)}


def _public(version: str) -> str:
    return re.sub(r"\+.*", "", version)
