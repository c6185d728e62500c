"""Named environments: which account, region and cluster a command talks to.

An environment is a boto3 session (profile or the default credential chain, region, optional endpoint
URL) and a cluster name. They are kept in ``$CORTEX_HOME/environments.yaml``. ``local`` always exists: its
endpoint is the embedded cloud of this machine, which is started on first use.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import yaml

from cortex_cdk.aws.cloud import Cloud, check_endpoint_url
from cortex_cdk.errors import CloudError
from cortex_cdk.home import cortex_home, environments_file

log = logging.getLogger(__name__)

LOCAL = "local"
DEFAULT_REGION = "us-east-1"
ENVIRONMENT_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,63}")


@dataclass(frozen=True)
class Environment:
    """Where commands go.

    Attributes:
        name: What the user calls it.
        cluster: The cluster's name.
        region: The AWS region.
        profile: A profile of the AWS configuration files; None uses the default credential chain.
        endpoint_url: Replaces the AWS endpoints, for emulators; None for AWS itself.
    """

    name: str
    cluster: str = "cortex"
    region: str = DEFAULT_REGION
    profile: str | None = None
    endpoint_url: str | None = None

    @property
    def on_this_machine(self) -> bool:
        """Whether the embedded cloud answers (it and its cluster are made on first use)."""
        return self.name == LOCAL

    def connect(self) -> Cloud:
        """Open the door to the environment's cloud.

        Raises:
            LocalCloudError: The embedded cloud cannot start.
        """
        if not self.on_this_machine:
            return Cloud.with_profile(self.region, self.profile, self.endpoint_url)
        from cortex_cdk.localcloud import launcher
        from cortex_cdk.localcloud.settings import Settings

        endpoint = launcher.ensure_running(Settings.from_environ())
        if endpoint.notice:
            log.warning("%s", endpoint.notice)
        return Cloud.without_account(self.region, endpoint.control_url)

    def connect_in_haste(self) -> Cloud | None:
        """A door that asks once and gives up soon; None where there is nothing to ask yet. Nothing is started."""
        if not self.on_this_machine:
            return Cloud.with_profile(self.region, self.profile, self.endpoint_url, hasty=True)
        from cortex_cdk.localcloud import launcher
        from cortex_cdk.localcloud.settings import Settings

        endpoint = launcher.status(Settings.from_environ())
        return Cloud.without_account(self.region, endpoint.control_url, hasty=True) if endpoint else None

    @contextmanager
    def first_use(self) -> Iterator[None]:
        """Held while what this machine's environment lacks is made: waits for any other process that does so."""
        from cortex_cdk.localcloud.endpoint import waiting_lock

        with waiting_lock(cortex_home() / f"{self.name}.first-use"):
            yield


def check_environment(environment: Environment) -> None:
    """Look at what a user wants to call and to reach, before it is kept.

    Raises:
        CloudError: A name, the region or the URL cannot be right; the message says what is allowed.
    """
    from cortex_cdk.config.cluster import NAME, NAME_IN_WORDS, REGION

    if not ENVIRONMENT_NAME.fullmatch(environment.name):
        raise CloudError(
            f"{environment.name!r} cannot be the name of an environment",
            hint="use 1 to 64 letters, digits, -, _ or ., starting with a letter or digit",
        )
    if not NAME.fullmatch(environment.cluster):
        raise CloudError(
            f"{environment.cluster!r} cannot be the name of a cluster",
            hint=f"use {NAME_IN_WORDS}",
        )
    if not REGION.fullmatch(environment.region):
        raise CloudError(f"{environment.region!r} is not an AWS region", hint="give one such as us-east-1")
    check_endpoint_url(environment.endpoint_url)


@dataclass(frozen=True)
class Environments:
    """Every environment that the user has, and the default."""

    default: str
    all: tuple[Environment, ...]

    def get(self, name: str | None) -> Environment:
        """The environment of that name, or the default.

        Raises:
            CloudError: There is none of that name.
        """
        wanted = name or self.default
        for environment in self.all:
            if environment.name == wanted:
                return environment
        known = ", ".join(environment.name for environment in self.all)
        raise CloudError(
            f"environment {wanted!r} does not exist (there are: {known})",
            hint=f"make it with: cortex env configure {wanted}",
        )

    def with_environment(self, environment: Environment) -> Environments:
        """A copy in which that environment is added or replaced."""
        others = tuple(known for known in self.all if known.name != environment.name)
        return replace(self, all=(*others, environment))

    def without(self, name: str) -> Environments:
        """A copy without that environment; the default falls back to ``local``.

        Raises:
            CloudError: There is none of that name, or it is ``local``.
        """
        self.get(name)
        if name == LOCAL:
            raise CloudError(
                "the local environment cannot be deleted", hint="stop the local cloud with: cortex local down"
            )
        default = LOCAL if self.default == name else self.default
        return Environments(default, tuple(known for known in self.all if known.name != name))


def load_environments(path: Path | None = None) -> Environments:
    """Read the user's environments; ``local`` is there even without a file.

    Raises:
        CloudError: The file is not what this program writes.
    """
    path = path or environments_file()
    local = Environment(LOCAL, cluster=LOCAL)
    try:
        default, stored = _parsed(path.read_text())
    except FileNotFoundError:
        return Environments(LOCAL, (local,))
    except OSError as error:
        raise CloudError(f"{path} cannot be read: {error.strerror}", hint="check CORTEX_HOME") from error
    except ValueError as error:
        raise CloudError(
            f"{path} is not a file of environments as cortex writes it",
            hint="mend the file, or delete it and define the environments again with: cortex env configure NAME",
            details=[str(error)],
        ) from error
    return Environments(default, (local, *(entry for entry in stored if entry.name != LOCAL)))


def _parsed(text: str) -> tuple[str, tuple[Environment, ...]]:
    """The default and the environments that a file defines.

    Raises:
        ValueError: The file is not what this program writes; the message says where it differs.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError("a character is not allowed in YAML") from error
    if not isinstance(document, dict) or document.keys() != {"default", "environments"}:
        raise ValueError("a map with the fields default and environments is expected")
    default, entries = document["default"], document["environments"]
    if not isinstance(default, str) or not isinstance(entries, list):
        raise ValueError("default must be a name, and environments a list")
    return default, tuple(_environment(entry) for entry in entries)


def _environment(entry: object) -> Environment:
    known = [field.name for field in fields(Environment)]
    if not isinstance(entry, dict) or "name" not in entry:
        raise ValueError("each environment must be a map with a name")
    for name, value in entry.items():
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            raise ValueError(f"unknown field {name}" + (f" (did you mean {close[0]}?)" if close else ""))
        if not isinstance(value, str):
            raise ValueError(f"{name} must be text, not {value!r}")
    return Environment(**entry)


def save_environments(environments: Environments, path: Path | None = None) -> None:
    """Write the file whole or not at all, readable by the user only.

    Raises:
        CloudError: It cannot be written.
    """
    path = path or environments_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(environments, path)
    except OSError as error:
        raise CloudError(f"{path} cannot be written: {error.strerror}", hint="check CORTEX_HOME") from error


def _write(environments: Environments, path: Path) -> None:
    stored = [
        {key: value for key, value in asdict(environment).items() if value is not None}
        for environment in environments.all
        if environment.name != LOCAL
    ]
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w") as file:
            yaml.safe_dump({"default": environments.default, "environments": stored}, file, sort_keys=False)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)  # it is still there only if that failed: the disk is full
