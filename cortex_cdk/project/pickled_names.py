"""Finds files with pickled objects of classes that no replica has, because a notebook or a script defined them.

A pickle names the module and the class of each object ("The Python pickle protocol", PEP 3154). Those that were
defined in a notebook or in the script that was run are of the module ``__main__``, which is another one in a replica.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

ENDINGS = frozenset({".joblib", ".pickle", ".pkl", ".dill", ".sav", ".npy", ".pt", ".pth"})
CHUNK_BYTES = 2**20
TO_DO = (
    "define it in a file of the project (such as parts.py, given with a class as files={'parts.py': 'parts.py'}), "
    "import it from there, and make and pickle the object again"
)
# The opcodes GLOBAL (protocols to 3), and two short texts and STACK_GLOBAL (from 4 on), each kept by MEMOIZE or not.
# They are sought in the bytes: pickletools cannot go on behind the arrays that joblib puts between opcodes.
_NAMED = re.compile(rb"c__main__\n([^\n]+)\n|\x8c\x08__main__\x94?\x8c[\x01-\xff]([\w.\x80-\xff]+?)\x94?\x93")
_LONGEST_NAME = 2 * 256


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def names_of_main(path: Path) -> list[str]:
    """Find the classes and functions of ``__main__`` that the pickles in a file need.

    Args:
        path: Any file, also a compressed one (gzip, zlib, bz2, xz, as joblib writes them) or an archive of PyTorch.

    Returns:
        Their names; empty for a file that is no pickle, or is a broken one.
    """
    found: dict[str, None] = {}
    try:
        for file in _streams(path):
            before = b""
            for chunk in _decompressed(file):
                text = before + chunk
                found |= {(one[1] or one[2]).decode(errors="replace"): None for one in _NAMED.finditer(text)}
                before = text[-_LONGEST_NAME:]
    except (OSError, zlib.error, lzma.LZMAError, EOFError, zipfile.BadZipFile, RuntimeError):
        return []
    return list(found)


def _streams(path: Path) -> Iterator[IO[bytes]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                with archive.open(name) as file:
                    yield file


def _decompressed(file: IO[bytes]) -> Iterator[bytes]:
    decompressor: _Decompressor | None = None
    is_first = True
    while chunk := file.read(CHUNK_BYTES):
        decompressor = _decompressor(chunk) if is_first else decompressor
        is_first = False
        yield decompressor.decompress(chunk) if decompressor else chunk


def _decompressor(start: bytes) -> _Decompressor | None:
    if start.startswith((b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")):
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib
    if start.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if start.startswith((b"\xfd7zXZ", b"\x5d\x00")):
        return lzma.LZMADecompressor()
    return None
