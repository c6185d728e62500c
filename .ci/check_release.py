"""Checks what is released under a tag: v0.2.0 stands for version 0.2.0 of both packages, which CHANGELOG.md describes.

python .ci/check_release.py v0.2.0
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problems(tag: str, root: Path) -> Iterator[str]:
    """Yield what keeps a tag from being released."""
    version = tag.removeprefix("v")
    if not re.fullmatch(r"v\d+\.\d+\.\d+((a|b|rc)\d+)?", tag):
        yield f"{tag} is no tag of a release, such as v0.2.0 or v0.2.0rc1"
    for name in ("pyproject.toml", "serving_image/pyproject.toml"):
        text = (root / name).read_text(encoding="utf-8")
        found = re.findall(r'^version = "(.*)"$', text, re.MULTILINE)
        if found != [version]:
            yield f"{name} has version {', '.join(found)}, not {version}"
    # The two agree on formats that no version but their own knows.
    if f'"cortex-serving=={version}"' not in (root / "pyproject.toml").read_text(encoding="utf-8"):
        yield f"pyproject.toml does not ask for cortex-serving=={version}"
    if f"\n## [{version}]" not in (root / "CHANGELOG.md").read_text(encoding="utf-8"):
        yield f"CHANGELOG.md has no section for {version}"


if __name__ == "__main__":
    found = list(problems(sys.argv[1], ROOT))
    sys.exit("\n".join(found) if found else 0)
