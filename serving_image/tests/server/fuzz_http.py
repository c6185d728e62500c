"""Coverage-guided comparison of ``cortex_serving.server`` with stock waitress, by atheris (``make fuzz``).

    python -m tests.server.fuzz_http [libFuzzer's options, such as -runs=100000]

An input's first byte says how many cuts there are, the bytes after it where they are, and the rest is what the client
sends. It starts from the hand-written cases of ``test_http.py``; an input on which the two servers differ is shown and
kept as ``crash-*``: it belongs among those cases, once it is mended.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cortex_serving.server", "waitress"]):
    from tests.server.test_http import SMUGGLING, Side

LONGEST = 4096  # bytes of an input: longer ones are slow, and the limits are in the hand-written cases


def pieces_of(data: bytes) -> list[bytes]:
    """What is sent for an input, piece by piece."""
    cuts, text = data[1 : 1 + data[0] % 5], data[1 + data[0] % 5 :]
    pieces = []
    for cut in cuts:
        pieces.append(text[:cut])
        text = text[cut:]
    return [piece for piece in [*pieces, text] if piece]


def main() -> None:
    """Run libFuzzer; it ends the process."""
    logging.getLogger("waitress").setLevel(logging.CRITICAL + 1)
    fast, stock = Side(fast=True), Side(fast=False)

    def compare(data: bytes) -> None:
        if data:
            pieces = pieces_of(data)
            ours, theirs = fast.exchange(pieces), stock.exchange(pieces)
            assert ours == theirs, f"{pieces!r} is answered with\n{ours}\nand by stock waitress with\n{theirs}"

    with tempfile.TemporaryDirectory() as corpus:
        for number, text in enumerate(text for text in SMUGGLING.values() if len(text) < LONGEST):
            (Path(corpus) / f"whole-{number}").write_bytes(b"\0" + text)
            (Path(corpus) / f"cut-{number}").write_bytes(b"\2\7\40" + text)
        atheris.Setup([*sys.argv, f"-max_len={LONGEST}", "-print_final_stats=1", corpus], compare)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
