"""A Docker engine for the tests of images: this machine's, or Debian's, fetched into a folder and started from there.

python -m tests.image.engine      says whether an engine can run here (exit status 0) or why not (1)
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "trixie"
"""The suite of the engine; older ones have no buildx."""
OF_SUITE = ("docker.io", "docker-cli", "containerd", "docker-buildx")
OF_MACHINE = ("runc", "tini", "docker-registry")
"""What must fit the C library of this machine, and comes from its own suite."""
NEEDED = ("dpkg-deb", "apt-get")
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class NoEngineError(Exception):
    """Why no engine can run here."""


@dataclass(frozen=True)
class Engine:
    """A Docker engine that runs.

    Attributes:
        environ: The variables of its clients.
        programs: The folder of fetched programs, docker-registry among them; None with this machine's engine.
    """

    environ: dict[str, str]
    programs: Path | None

    def docker(self, *arguments: str, check: bool = True, merged: bool = False, timeout: float = 600) -> str:
        """Run a docker command; what it printed, with what it said on standard error where that is ``merged``."""
        done = subprocess.run(
            ["docker", *arguments], env=self.environ, capture_output=True, text=True, check=False, timeout=timeout
        )
        assert not check or done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return (done.stdout + done.stderr if merged else done.stdout).strip()


def own_engine() -> Engine | None:
    """The engine of this machine, where one runs and may be used."""
    if not shutil.which("docker"):
        return None
    found = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False, timeout=30)
    info = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=30)
    return Engine(dict(os.environ), None) if found.returncode == info.returncode == 0 else None


def check() -> None:
    """Find out whether an engine can run here.

    Raises:
        NoEngineError: None can.
    """
    if own_engine():
        return
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoEngineError("no Docker engine runs here, and only root on Linux can start one")
    missing = [name for name in NEEDED if not shutil.which(name)] + [str(KEYS)] * (not KEYS.exists())
    if missing:
        raise NoEngineError(f"no Docker engine runs here, and Debian's needs {', '.join(missing)}")
    capabilities = re.search(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if not capabilities or not int(capabilities[1], 16) >> 21 & 1:  # CAP_SYS_ADMIN
        raise NoEngineError("no Docker engine runs here, and without CAP_SYS_ADMIN none can start")


class Debian:
    """Packages of Debian, fetched without installing them, by an apt of its own.

    Args:
        folder: Where its lists and packages are kept.
        suites: The suites that packages may come from.
    """

    def __init__(self, folder: Path, suites: tuple[str, ...]) -> None:
        self._folder = folder
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        sources = [f"deb [signed-by={KEYS}] {MIRROR} {suite} main\n" for suite in dict.fromkeys(suites)]
        (folder / "sources.list").write_text("".join(sources))
        (folder / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{folder}/sources.list"; Dir::Etc::sourceparts "-"; APT::Sandbox::User "root";\n'
            f'Dir::State::lists "{folder}/lists"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}";\n'
            f'Dir::Cache::archives "{folder}/archives"; Acquire::Languages "none"; APT::Install-Recommends "false";\n'
        )
        if not any((folder / "lists").glob("*Packages*")):
            self._run("update")

    def _run(self, *arguments: str, cwd: Path | None = None) -> None:
        environ = {**os.environ, "APT_CONFIG": str(self._folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            ["apt-get", "-qq", *arguments],
            env=environ,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            raise NoEngineError(f"apt-get {arguments[0]}: {done.stderr.strip()}")

    def unpack(self, root: Path, *packages: str) -> None:
        """Unpack these packages alone."""
        into = self._folder / "alone"
        into.mkdir(exist_ok=True)
        self._run("download", *packages, cwd=into)
        for package in sorted(into.glob("*.deb")):
            _unpack(package, root)

    def unpack_closure(self, root: Path, *packages: str) -> None:
        """Unpack these packages with all that they depend on."""
        self._run("install", "--yes", "--download-only", *packages)
        for package in sorted((self._folder / "archives").glob("*.deb")):
            _unpack(package, root)


def _unpack(package: Path, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        subprocess.run(
            ["tar", "--extract", "--keep-directory-symlink", "--directory", root], stdin=archive.stdout, check=True
        )


def machine_suite() -> str:
    """The Debian suite of this machine."""
    release = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
    if not found or "ID=debian" not in release:
        raise NoEngineError("this machine is no Debian, whose engine could be fetched")
    return found[1]


def fetch(folder: Path) -> Path:
    """Fetch Debian's engine, unless the folder has it; the folder of its files."""
    root = folder / "engine"
    if not (root / "complete").exists():
        own = machine_suite()
        debian = Debian(folder / "apt-engine", (own, SUITE))
        debian.unpack(root, *(f"{name}/{SUITE}" for name in OF_SUITE), *(f"{name}/{own}" for name in OF_MACHINE))
        (root / "complete").touch()
    return root


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """An engine, until the block ends; one that was started for it is stopped, and what it kept is removed."""
    check()
    own = own_engine()
    if own:
        yield own
        return
    root, state = fetch(folder), folder / "state"
    clients = {
        **os.environ,
        "PATH": os.pathsep.join([f"{root}/usr/bin", f"{root}/usr/sbin", os.environ["PATH"]]),
        "DOCKER_HOST": f"unix://{state}/docker.sock",
        "DOCKER_CONFIG": f"{state}/config",
    }
    plugins = state / "config/cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    plugin = plugins / "docker-buildx"
    plugin.unlink(missing_ok=True)
    plugin.symlink_to(root / "usr/libexec/docker/cli-plugins/docker-buildx")
    # Without a bridge nothing of this machine's network is changed: containers use the host's.
    command = ["dockerd", "--data-root", f"{state}/data", "--exec-root", f"{state}/run", "--pidfile", f"{state}/pid"]
    network = ["--host", clients["DOCKER_HOST"], "--bridge=none", "--iptables=false", "--ip6tables=false"]
    program = shutil.which("dockerd", path=clients["PATH"])
    assert program
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen([program, *command[1:], *network], env=clients, stdout=log, stderr=log)
    try:
        engine = Engine(clients, root / "usr/bin")
        _wait(engine, daemon, folder / "dockerd.log")
        yield engine
        left = engine.docker("ps", "--all", "--quiet").split()
        if left:
            engine.docker("rm", "--force", *left)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(STOP_SECONDS)
        # What containers with the host's network leave behind.
        for mounted in (state / "run/netns").glob("*"):
            subprocess.run(["umount", mounted], check=False, timeout=30)
        shutil.rmtree(state, ignore_errors=True)


def _wait(engine: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if engine.docker("version", "--format", "{{.Server.Version}}", check=False):
            return
        time.sleep(0.2)
    raise NoEngineError(f"dockerd did not start:\n{log.read_text()[-2000:]}")


def main() -> int:
    """Say whether an engine can run here."""
    try:
        check()
    except NoEngineError as error:
        print(f"make test-image was not run: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
