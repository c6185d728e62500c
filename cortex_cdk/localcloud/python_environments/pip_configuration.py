"""Reads the user's configuration of pip, which uv does not read, and says the same to uv by variables.

Another place of the same packages (a mirror, a folder of wheels) counts as for pip. An index of further packages does
not: an image on AWS would not have them, and uv takes a package from the first index that has one of that name. (pip's
"Configuration" page has the files and their order; uv's "Environment variables" page has the names.)
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SECTIONS = ("global", "install")
"""Sections of pip's files that count when a package is installed; the later one counts more."""
OPTIONS = {
    "index-url": "UV_DEFAULT_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
"""Options of pip, and the variables that say the same to uv."""
SEPARATORS = {"find-links": ",", "trusted-host": " "}
"""How uv separates several values."""
EXTRA = "extra-index-url"
INDEXES_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
"""Who has set one of these has configured uv: pip's indexes do not count."""
OFF = ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class PipConfiguration:
    """The user's configuration of pip, for uv.

    Attributes:
        variables: Variables of uv's processes.
        notes: Lines that tell which index counts.
        unused: A sentence on what does not count, and how it would; None where all counts.
    """

    variables: Mapping[str, str]
    notes: tuple[str, ...]
    unused: str | None


def read(environ: Mapping[str, str], home: Path) -> PipConfiguration:
    """Read pip's files and variables.

    Args:
        environ: The variables of the user's processes.
        home: The user's home folder.

    Returns:
        The configuration. A file that cannot be read counts as empty: pip itself will complain.
    """
    found = _options(environ, home)
    if any(name in environ for name in INDEXES_OF_UV):
        found = {option: value for option, value in found.items() if option not in ("index-url", EXTRA)}
    variables, notes = {}, []
    for option, variable in OPTIONS.items():
        values = [value for value in found.get(option, "").split() if _exists(value)]
        if option == "no-index" and found.get(option, "").lower() in OFF:
            continue
        if not values or variable in environ:
            continue
        variables[variable] = SEPARATORS.get(option, " ").join(values)
        if option == "index-url":
            notes.append(f"packages come from {_shown(values[0])}, the index-url of your pip configuration")
    extra = [value for value in found.get(EXTRA, "").split() if _exists(value)]
    return PipConfiguration(variables, tuple(notes), _unused(extra) if extra else None)


def _unused(extra: list[str]) -> str:
    shown = " ".join(map(_shown, extra))
    return (
        f"the {EXTRA} of your pip configuration ({shown}) does not count, because an image on AWS would not know it: "
        f"name it in requirements.txt (--{EXTRA} ...)"
    )


def _options(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the options of all files, and of the variables, which count most."""
    found: dict[str, str] = {}
    for file in _files(environ, home):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in SECTIONS:
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    prefix = "PIP_"
    names = [name for name in environ if name.startswith(prefix)]
    return found | {name.removeprefix(prefix).lower().replace("_", "-"): environ[name] for name in names}


def _files(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield pip's files: of the machine, of the user, of this Python, and the one that a variable names."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    for folder in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)):
        yield Path(folder) / "pip/pip.conf"
    if sys.platform == "darwin":
        yield Path("/Library/Application Support/pip/pip.conf")
        yield home / "Library/Application Support/pip/pip.conf"
    yield Path("/etc/pip.conf")
    yield home / ".pip/pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)


def _exists(place: str) -> bool:
    """Return whether a place is elsewhere, or there. pip warns of folders that are not there, and uv would fail."""
    path = place.removeprefix("file://")
    return "://" in path or not path.startswith("/") or Path(path).exists()


def _shown(place: str) -> str:
    """Return an address without its password."""
    return re.sub(r"//[^/@\s]*@", "//****@", place)
