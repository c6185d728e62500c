"""What the Dockerfiles build on: from the registries, or where those cannot be reached, stand-ins under the same names.

The stand-in of the base is Debian with its own Python 3.11 and without bytecode, as slim images have none; that of uv
is the uv of this environment. There is none of micromamba: its packages would be missing as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from uv import find_uv_bin

from tests.image.engine import Debian, Engine

SUITE = "bookworm"
PACKAGES = (
    "python3.11",
    "bash",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "sed",
    "tar",
    "passwd",
    "base-files",
    "base-passwd",
    "libstdc++6",
)
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
MERGED = ("bin", "sbin", "lib", "lib64")


def provide(engine: Engine, dockerfile: str, folder: Path) -> str:
    """Have what a Dockerfile builds on.

    Returns:
        The Dockerfile, without digests where stand-ins take the place of images.
    """
    named = re.findall(r"^(?:ARG BASE_IMAGE=|FROM )([\w.-]+/\S+)", dockerfile, re.MULTILINE)
    base, uv = (next(image for image in named if part in image) for part in ("python", "/uv"))
    if all(_is_there(engine, image) or _is_pulled(engine, image) for image in (base, uv)):
        return dockerfile
    for image, make in ((base, _make_base), (uv, _make_uv)):
        name = image.partition("@")[0]
        if not _is_there(engine, name):
            root = folder / make.__name__.removeprefix("_make_")
            if not (root / "complete").exists():
                shutil.rmtree(root, ignore_errors=True)
                make(root, folder)
                (root / "complete").touch()
            _import(engine, root, name)
    return re.sub(r"@sha256:[0-9a-f]{64}", "", dockerfile)


def _is_there(engine: Engine, image: str) -> bool:
    return bool(engine.docker("images", "--quiet", image))


def _is_pulled(engine: Engine, image: str) -> bool:
    engine.docker("pull", "--quiet", image, check=False)
    return _is_there(engine, image)


def _import(engine: Engine, root: Path, name: str) -> None:
    # Proxies that open TLS have a certificate of their own, which is then among those of this machine.
    change = f"ENV SSL_CERT_FILE=/{CERTIFICATES} PIP_CERT=/{CERTIFICATES}"
    with subprocess.Popen(["tar", "--create", "--directory", root, "."], stdout=subprocess.PIPE) as archive:
        subprocess.run(
            ["docker", "import", "--change", change, "-", name],
            env=engine.environ,
            stdin=archive.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )


def _make_base(root: Path, folder: Path) -> None:
    """A Debian that was unpacked and not configured: enough to run Python, and ready in seconds."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    Debian(folder / "apt-base", (SUITE,)).unpack_closure(root, *PACKAGES)
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    (root / CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(f"/{CERTIFICATES}", root / CERTIFICATES)
    (root / "tmp").chmod(0o1777)
    for folder_of_bytecode in list(root.rglob("__pycache__")):
        shutil.rmtree(folder_of_bytecode)


def _make_uv(root: Path, folder: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(find_uv_bin(), root / "uv")
