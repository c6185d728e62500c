"""Names the installed packages that modules come from, as lines of ``requirements.txt``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata

# Every replica has them.
_PROVIDED = frozenset({"cortex_serving"})


def as_requirements(modules: Iterable[str]) -> list[str]:
    """Return the packages of modules, each in the version that is installed here.

    Args:
        modules: Names of top-level modules; those of Python itself, and of no package, are left out.
    """
    wanted = {module for module in modules if module not in sys.stdlib_module_names and module not in _PROVIDED}
    if not wanted:
        return []
    packages = metadata.packages_distributions()
    found = {packages[module][0] for module in wanted if packages.get(module)}
    # A local version, such as 2.9.0+cpu, is of an index that replicas do not ask.
    return sorted(f"{name}=={_public(metadata.version(name))}" for name in found)


def _public(version: str) -> str:
    return re.sub(r"\+.*", "", version)
