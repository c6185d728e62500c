"""The image's build context, as files: for whoever builds the image that this package runs in."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CARRIED = ("Dockerfile", "Dockerfile.gpu", "install.sh", "constraints.txt", "pyproject.toml", "README.md")


def context_files() -> dict[str, Path]:
    """Path inside ``serving_image/`` of the build context -> file, for every file that the image is built from.

    In a checkout the Dockerfiles lie beside the package; in an installed wheel they lie in ``_image``.
    """
    beside = _PACKAGE.parent
    source = beside if (beside / "Dockerfile").is_file() else _PACKAGE / "_image"
    files = {name: source / name for name in _CARRIED}
    for path in sorted(_PACKAGE.rglob("*")):
        relative = path.relative_to(_PACKAGE)
        if path.is_file() and relative.parts[0] != "_image" and "__pycache__" not in relative.parts:
            files[f"cortex_serving/{relative.as_posix()}"] = path
    return files


def program_requirements() -> list[str]:
    """What the serving program needs, as lines of a requirements file, without its extras."""
    return sorted(line for line in requires("cortex-serving") or () if "extra ==" not in line)
