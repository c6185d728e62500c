"""A local cloud of a benchmark's own, in a fresh CORTEX_HOME and on free ports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

CORTEX = Path(sys.executable).parent / "cortex"
COMMAND_TIMEOUT = 1200


class Home:
    """A fresh home with a local cloud.

    Args:
        folder: Has the home, and projects.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = dict.fromkeys(("CORTEX_LOCAL_PORT", "CORTEX_LOCAL_HTTP_PORT", "CORTEX_LOCAL_HTTPS_PORT"), "0")
        self.environ = {**os.environ, "CORTEX_HOME": str(folder / "home"), **ports}

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed; return its output."""
        done = subprocess.run(
            [CORTEX, *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT,
        )
        if done.returncode:
            raise SystemExit(f"cortex {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def project(self, name: str, files: dict[str, str], apis: list[dict[str, Any]]) -> Path:
        """Write a project (JSON is YAML); return its folder."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for file, content in files.items():
            (folder / file).write_text(content)
        (folder / "cortex.yaml").write_text(json.dumps(apis))
        return folder

    def status(self) -> dict[str, Any]:
        """Return what ``cortex local status -o json`` says."""
        found: dict[str, Any] = json.loads(self.run("local", "status", "-o", "json"))
        return found

    def daemon(self) -> psutil.Process:
        """Return the process of the local cloud."""
        return psutil.Process(self.status()["pid"])


def is_router(process: psutil.Process) -> bool:
    """Return whether a child of the daemon is the load balancer, and not a replica."""
    return "envoy" in process.name()
