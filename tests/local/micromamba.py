"""Stands for micromamba, at the edge of the world: conda's channels cannot be reached by the tests.

It notes how it was called and makes a virtual environment where it is asked for one; it has every package but
``no-such-package``, of which it says what the real one says. What it installs sets a variable when it is activated, as
the real rdkit does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PROGRAM = f"""\
#!{sys.executable}
import json, os, subprocess, sys
from pathlib import Path

arguments = sys.argv[1:]
with Path(__file__).with_name("calls.jsonl").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
if arguments[0] == "create":
    subprocess.run([os.environ["UV"], "venv", "--seed", "--python", {sys.executable!r}, arguments[3]], check=True)
    Path(arguments[3], "conda-meta").mkdir()
elif "no-such-package" in Path("conda-packages.txt").read_text():
    print("error    libmamba Could not solve for environment specs")
    print("    The following package could not be installed")
    print("    \u2514\u2500 no-such-package =* * does not exist (perhaps a typo or a missing channel).")
    print("critical libmamba Could not solve for environment specs")
    sys.exit(1)
else:
    scripts = Path(arguments[3], "etc/conda/activate.d")
    scripts.mkdir(parents=True)
    (scripts / "rdkit_activate.sh").write_text('export RDBASE="$CONDA_PREFIX/share/RDKit"\\n')
"""


def write(folder: Path) -> None:
    """Put the program into a folder, which is then to be put on the ``PATH``."""
    program = folder / "micromamba"
    program.write_text(PROGRAM, encoding="utf-8")
    program.chmod(0o755)


def calls(folder: Path) -> list[list[str]]:
    """The arguments of every call so far."""
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
