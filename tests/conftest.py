"""What the tests share: the ``cortex`` executable with a home and a local cloud of its own."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest
from hypothesis import settings

from tests.json_output import require_documented

# What modules define, stays: Python's usual looks for garbage among it take a fifth of collecting the tests.
gc.set_threshold(50_000, 20, 50)

# How long an example takes says nothing about whether it is right.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent
CORTEX = Path(sys.executable).parent / "cortex"


class Cortex:
    """Runs ``cortex`` as a user would, with its own ``CORTEX_HOME`` and free ports.

    Args:
        home: ``CORTEX_HOME``.
        program: The executable; by default that of the environment that runs the tests.
    """

    def __init__(self, home: Path, program: Path = CORTEX) -> None:
        self.home = home
        self.program = program
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
        self.environ = {
            **kept,
            "CORTEX_HOME": str(home),
            "CORTEX_LOCAL_PORT": "0",
            "CORTEX_LOCAL_HTTP_PORT": "0",
            "CORTEX_LOCAL_HTTPS_PORT": "0",
            # Whatever the user has configured for AWS must not matter.
            "AWS_PROFILE": "no-such-profile",
        }

    def run(
        self, *arguments: str, cwd: Path = ROOT, stdin: str = "", environ: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and return what it printed and its exit code. An empty variable is unset.

        What it printed for ``-o json`` must have the documented shape, whatever the test is about.
        """
        done = subprocess.run(
            [self.program, *arguments],
            cwd=cwd,
            env={name: value for name, value in {**self.environ, **environ}.items() if value},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        require_documented(arguments, done.stdout)
        return done

    def ok(self, *arguments: str, cwd: Path = ROOT, stdin: str = "") -> str:
        """Run a command that must succeed; return its stdout."""
        done = self.run(*arguments, cwd=cwd, stdin=stdin)
        assert done.returncode == 0, f"cortex {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command with ``-o json``; return what it printed."""
        return json.loads(self.ok(*arguments, "-o", "json"))

    def daemon(self) -> psutil.Process:
        """The process of the local cloud."""
        line = self.ok("local", "status").splitlines()[0]
        return psutil.Process(int(line.split("process ")[1].rstrip(")")))

    def replicas(self, api: str | None = None) -> set[int]:
        """The process groups of the replicas that run, of all APIs or one."""
        found = set()
        for child in self.daemon().children():
            # One that ended between two looks is none.
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                is_replica = any("cortex-serve" in part for part in child.cmdline())
                if is_replica and api in (None, child.environ().get("CORTEX_API")):
                    found.add(child.pid)
        return found

    @property
    def control_url(self) -> str:
        """Where the local cloud answers AWS calls."""
        line = next(line for line in self.ok("local", "status").splitlines() if line.startswith("AWS API:"))
        return line.split()[-1]

    def aws(self, service: str) -> Any:
        """A boto3 client of the local cloud, as any AWS tool would make it."""
        import boto3  # most tests need none, and it takes a while

        # boto3's overloads want the service's name as a literal.
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.control_url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )


@pytest.fixture(scope="module")
def cortex(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cortex]:
    """A cortex of this module's own; its local cloud is stopped afterwards.

    The clock of the local cloud runs as many times faster as the module's ``LOCAL_SPEED`` says, if it has one.
    """
    cortex = Cortex(tmp_path_factory.mktemp("cortex-home"))
    cortex.environ.update(
        {"CORTEX_LOCAL_SPEED": speed} if (speed := getattr(request.module, "LOCAL_SPEED", "")) else {}
    )
    yield cortex
    stopped = cortex.run("local", "down")
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    """A copy of the iris example that a test may change."""
    return Path(shutil.copytree(ROOT / "examples" / "iris-classifier", tmp_path / "iris"))
