"""Named environments: which account, region and cluster a command talks to.

An environment is a boto3 session (profile or the default credential chain, region, optional endpoint URL) and the name
of a cluster. Environments are kept in ``$CORTEX_HOME/environments.yaml``. ``local`` is built in: the embedded cloud of
this machine answers there.

Where the local cloud and AWS differ for the rest of the library, an environment says so by a property that names the
difference (``makes_its_cluster``, ``is_billed``). No other module asks which of the two answers:
``tests/unit/test_architecture.py`` looks.
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
from typing import TYPE_CHECKING

import yaml

from cortex_cdk import names
from cortex_cdk.aws import errors as aws_errors
from cortex_cdk.aws.cloud import Cloud, check_endpoint_url
from cortex_cdk.errors import CloudError, CortexError, WrongCallError
from cortex_cdk.home import cortex_home, environments_file

if TYPE_CHECKING:
    from cortex_cdk.config import Cluster

log = logging.getLogger(__name__)

LOCAL = "local"
ENVIRONMENT_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,63}")


@dataclass(frozen=True)
class Environment:
    """Where commands go: an account of AWS, or an emulator of it.

    Attributes:
        name: What the user calls it.
        cluster: The cluster's name.
        region: The AWS region.
        profile: A profile of the AWS configuration files; None uses the default credential chain.
        endpoint_url: Replaces the AWS endpoints, for emulators; None for AWS itself.
    """

    name: str
    cluster: str = names.DEFAULT_CLUSTER
    region: str = names.DEFAULT_REGION
    profile: str | None = None
    endpoint_url: str | None = None

    @property
    def makes_its_cluster(self) -> bool:
        """Whether the first deployment makes the cluster unasked. Where a cluster costs money, the user makes it."""
        return False

    @property
    def is_billed(self) -> bool:
        """Whether somebody is billed for what runs there."""
        return True

    @property
    def is_on_the_network(self) -> bool:
        """Whether other machines can reach what runs there."""
        return True

    @property
    def is_configurable(self) -> bool:
        """Whether the user chooses cluster, region and credentials."""
        return True

    @property
    def location(self) -> str:
        """Where its replicas run, in a word or two: the region."""
        return self.region

    def default_cluster(self) -> Cluster:
        """The configuration of a cluster that is made without a ``cluster.yaml``."""
        from cortex_cdk.config import Cluster

        return Cluster.default(self.cluster, self.region)

    def connect(self) -> Cloud:
        """Make a session.

        Raises:
            CloudError: The endpoint URL cannot be one.
            LocalCloudError: The embedded cloud cannot start.
        """
        return Cloud.with_profile(self.region, self.profile, self.endpoint_url)

    def connect_unless_stopped(self) -> Cloud | None:
        """Make a session that starts nothing, asks once and gives up within seconds.

        Returns:
            None where nobody would answer.
        """
        return Cloud.with_profile(self.region, self.profile, self.endpoint_url, fail_fast=True)

    @contextmanager
    def first_use(self) -> Iterator[None]:
        """Keep other processes from making the cluster, too: waits until none of them does, then holds a lock."""
        from cortex_cdk.localcloud.endpoint import waiting_lock

        with waiting_lock(cortex_home() / f"{self.name}.first-use"):
            yield


@dataclass(frozen=True)
class LocalEnvironment(Environment):
    """The embedded cloud of this machine, which is started on first use."""

    name: str = LOCAL
    cluster: str = LOCAL

    @property
    def makes_its_cluster(self) -> bool:
        """Its cluster costs nothing, and is gone with its folder."""
        return True

    @property
    def is_billed(self) -> bool:
        """Nobody is."""
        return False

    @property
    def is_on_the_network(self) -> bool:
        """Everything listens on 127.0.0.1."""
        return False

    @property
    def is_configurable(self) -> bool:
        """Ports and folder are set by variables, and there is no account."""
        return False

    @property
    def location(self) -> str:
        """Replicas are processes of this machine."""
        return "this machine"

    def default_cluster(self) -> Cluster:
        """A cluster with the room of this machine: one instance, of the largest type that is no larger.

        The group of GPU instances stays: it is empty until a replica asks for a GPU of this machine.
        """
        from cortex_cdk.capacity.fit import largest_within
        from cortex_cdk.capacity.machine import this_machine

        cluster = super().default_cluster()
        size = {"instance_types": (largest_within(this_machine()).name,), "min_instances": 1, "max_instances": 1}
        groups = tuple(
            group.model_copy(update=size) if group.accelerator == "none" else group for group in cluster.instance_groups
        )
        return cluster.model_copy(update={"instance_groups": groups})

    def connect(self) -> Cloud:
        """Start the embedded cloud unless it runs, and make a session.

        Raises:
            LocalCloudError: It cannot start.
        """
        from cortex_cdk.localcloud import launcher
        from cortex_cdk.localcloud.settings import Settings

        endpoint = launcher.ensure_running(Settings.from_environ())
        if endpoint.notice:
            log.warning("%s", endpoint.notice)
        return Cloud.without_account(self.region, endpoint.control_url)

    def connect_unless_stopped(self) -> Cloud | None:
        """Make a session if the embedded cloud runs."""
        from cortex_cdk.localcloud import launcher
        from cortex_cdk.localcloud.settings import Settings

        endpoint = launcher.status(Settings.from_environ())
        return Cloud.without_account(self.region, endpoint.control_url, fail_fast=True) if endpoint else None


def explain(error: Exception, environment: str) -> CortexError | None:
    """Put one of botocore's errors into words.

    Args:
        error: Anything that was raised.
        environment: Name of the environment that was talked to.

    Returns:
        The error to show, or None where botocore did not raise it.
    """
    url = aws_errors.silent_endpoint(error)
    return (why_unreachable(url, environment) if url else None) or aws_errors.explain(error, environment)


def why_unreachable(url: str, environment: str) -> CortexError | None:
    """Say why nobody answers at an endpoint, where this machine knows: its local cloud was stopped, or moved.

    Args:
        url: The endpoint that did not answer.
        environment: Name of the environment whose endpoint that is.

    Returns:
        None where nothing is known, such as for an endpoint of AWS.
    """
    from cortex_cdk.localcloud.unreachable import explain_silence

    return explain_silence(url, environment)


def check_environment(environment: Environment) -> None:
    """Look at what a user wants to call and to reach, before it is kept.

    Raises:
        WrongCallError: A name, the region or the URL cannot be right; the message says what is allowed.
    """
    from cortex_cdk.config.cluster import NAME, NAME_IN_WORDS, REGION

    if not ENVIRONMENT_NAME.fullmatch(environment.name):
        raise WrongCallError(
            f"{environment.name!r} cannot be the name of an environment",
            hint="use 1 to 64 letters, digits, -, _ or ., starting with a letter or digit",
        )
    if not NAME.fullmatch(environment.cluster):
        raise WrongCallError(
            f"{environment.cluster!r} cannot be the name of a cluster",
            hint=f"use {NAME_IN_WORDS}",
        )
    if not REGION.fullmatch(environment.region):
        raise WrongCallError(f"{environment.region!r} is not an AWS region", hint="give one such as us-east-1")
    try:
        check_endpoint_url(environment.endpoint_url)
    except CloudError as error:
        raise WrongCallError(error.message, hint=error.hint) from error


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
        found = self.find(wanted)
        if found is None:
            raise CloudError(
                f"environment {wanted!r} does not exist (there are: {self.names})",
                hint=f"make it with: cortex env configure {wanted}",
            )
        return found

    def find(self, name: str) -> Environment | None:
        """The environment of that name; None where there is none."""
        return next((environment for environment in self.all if environment.name == name), None)

    @property
    def names(self) -> str:
        """The names of all, for messages."""
        return ", ".join(environment.name for environment in self.all)

    def to_configure(self, name: str) -> Environment:
        """The environment of that name, to be changed; a new one where there is none.

        Raises:
            CloudError: It is built in, and takes no configuration.
        """
        found = next((known for known in self.all if known.name == name), Environment(name))
        if not found.is_configurable:
            raise CloudError(
                f"the {name} environment needs no configuration",
                hint="its ports and folder are set by CORTEX_LOCAL_PORT, CORTEX_LOCAL_HTTP_PORT and CORTEX_HOME",
            )
        return found

    def with_environment(self, environment: Environment) -> Environments:
        """A copy in which that environment is added or replaced."""
        others = tuple(known for known in self.all if known.name != environment.name)
        return replace(self, all=(*others, environment))

    def without(self, name: str) -> Environments:
        """A copy without that environment; the default falls back to ``local``.

        Raises:
            CloudError: There is none of that name, or it is ``local``.
        """
        if self.find(name) is None:
            raise CloudError(f"environment {name!r} does not exist", hint=f"there are: {self.names}")
        if not self.get(name).is_configurable:
            raise CloudError(
                f"the {name} environment cannot be deleted", hint="stop the local cloud with: cortex local down"
            )
        default = LOCAL if self.default == name else self.default
        return Environments(default, tuple(known for known in self.all if known.name != name))


def load_environments(path: Path | None = None) -> Environments:
    """Read the user's environments; ``local`` is there even without a file.

    Raises:
        CloudError: The file is not what this program writes.
    """
    path = path or environments_file()
    local = LocalEnvironment()
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
        if environment.is_configurable
    ]
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w") as file:
            yaml.safe_dump({"default": environments.default, "environments": stored}, file, sort_keys=False)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)  # it is still there only if that failed: the disk is full
