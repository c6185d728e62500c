"""``.ci/pythons.py`` chooses versions of Python, and tells how the tests ended with each. uv and make are stand-ins."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

OWN = sys.version_info.minor
UV = """\
#!/bin/sh
for last; do :; done
case " {found} " in *" $last "*) echo "/usr/bin/python$last" ;; *) exit 1 ;; esac
"""
MAKE = """\
#!/bin/sh
case " {failing} " in
  *" ${{4#VENV=.venv-}} "*) printf '  error: no wheel\\nFAILED later\\n'; exit 2 ;;
  *) echo passed ;;
esac
"""


def run(folder: Path, *options: str, found: str, failing: str = "") -> tuple[int, list[str]]:
    """The exit code, and the lines that the program prints itself."""
    for name, script in (("uv", UV.format(found=found)), ("make", MAKE.format(failing=failing))):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/pythons.py", folder / "uv", *options],
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, [line[4:] for line in done.stdout.splitlines() if line.startswith("==> ")]


def test_where_there_is_one_python_only_that_is_said_and_nothing_fails(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "--ends", found=f"3.{OWN}")
    assert code == 0
    assert lines[-1] == f"no other Python is found here: the tests have run on 3.{OWN} only"
    assert {f"Python 3.{minor} is promised, but not found here" for minor in range(10, 14) if minor != OWN} < set(lines)


def test_the_oldest_and_the_newest_promised_one_beside_our_own(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "--ends", found="3.9 3.10 3.11 3.12 3.13 3.14")
    assert code == 0
    assert lines[-1] == ("Python 3.13 passed (0 min)" if OWN != 13 else "Python 3.10 passed (0 min)")
    tried = {line.partition(":")[0] for line in lines if ": /usr/bin/python" in line}
    assert tried == {"Python 3.10", "Python 3.13"} - {f"Python 3.{OWN}"}


@pytest.mark.parametrize(("failing", "exit_code"), [("3.12", 1), ("3.14", 0)])
def test_a_promised_version_must_pass_and_a_newer_one_tells_what_fails_first(
    tmp_path: Path, failing: str, exit_code: int
) -> None:
    code, lines = run(tmp_path, found="3.10 3.11 3.12 3.13 3.14", failing=failing)
    assert code == exit_code
    note = " (not promised)" if failing == "3.14" else ""
    assert f"Python {failing}{note} failed: error: no wheel (0 min)" in lines
    assert sum(" passed " in line for line in lines) == 4
