"""One deployment of an API or traffic splitter: what was deployed, by whom, why, and how it ended."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any

from cortex_serving.contract import REALTIME_API

IN_PROGRESS, DEPLOYED, FAILED, INTERRUPTED = OUTCOMES = ("in_progress", "deployed", "failed", "interrupted")
DEPLOY, ROLL_BACK = ACTIONS = ("deploy", "rollback")
# IAM Identity Center makes a role for each permission set, and names the session as the user.
_SSO_ROLE = re.compile(r"AWSReservedSSO_(.+)_[0-9a-f]{16}")


@dataclass(frozen=True)
class Commit:
    """The commit of git that a project's folder was at.

    Attributes:
        id: 40 hexadecimal digits.
        dirty: Whether files of the folder differed from the commit.
    """

    id: str
    dirty: bool

    def __str__(self) -> str:
        return f"{self.id[:7]}{'*' if self.dirty else ''}"


@dataclass(frozen=True)
class ConfigFile:
    """The configuration file as the user wrote it. It is not in the project's archive.

    Attributes:
        name: Its name, such as ``cortex.yaml``.
        text: Its content.
    """

    name: str
    text: str


@dataclass(frozen=True)
class Release:
    """What a deployment brings: enough to bring exactly that again.

    Attributes:
        revision: Its revision (empty for a splitter).
        archive: SHA-256 of the project, which names the project's archive (empty for a splitter).
        configuration: SHA-256 of the configuration of the API or splitter.
        specification: Digest of the stack's specification, under which the configuration is kept.
        image: Reference of the image, by digest where the registry tells (empty for a splitter).
        file: The configuration file; None where that is not known, and for a splitter, whose configuration is all
            that there is.
    """

    revision: str
    archive: str
    configuration: str
    specification: str
    image: str
    file: ConfigFile | None = None

    def serves_as(self, other: Release) -> bool:
        """Whether an API or splitter is the same with either of them."""
        return (self.revision, self.configuration) == (other.revision, other.configuration)


@dataclass(frozen=True)
class Record:
    """One deployment of an API or traffic splitter.

    Attributes:
        api: The name of the API or splitter.
        number: 1 for its first deployment.
        release: What was deployed.
        started: When.
        ended: When it ended; None while that is not known.
        action: One of ``ACTIONS``.
        restores: The number of the record that a roll-back deployed again; None for others.
        who: ARN of whoever deployed; None where that is not known.
        message: Why, in the user's words; None where nothing was said.
        commit: The commit of the project; None where the project is in no repository of git.
        version: The version of cortex that deployed; empty where that is not known.
        changes: What was changed, one line each.
        outcome: One of ``OUTCOMES``.
        reason: Why it failed or was interrupted, in one line.
        kind: ``RealtimeAPI`` or ``TrafficSplitter``.
    """

    api: str
    number: int
    release: Release
    started: datetime
    ended: datetime | None = None
    action: str = DEPLOY
    restores: int | None = None
    who: str | None = None
    message: str | None = None
    commit: Commit | None = None
    version: str = ""
    changes: tuple[str, ...] = ()
    outcome: str = IN_PROGRESS
    reason: str | None = None
    kind: str = REALTIME_API

    @property
    def name(self) -> str:
        """What people call it: ``v7``."""
        return f"v{self.number}"

    @property
    def title(self) -> str:
        """Its name with its revision, if it has one."""
        return f"{self.name}, revision {self.release.revision}" if self.release.revision else self.name

    def line(self, outcome: str | None = None) -> str:
        """Which it is, when, how it ended, and why it was made.

        Args:
            outcome: How it ended, where more is known than the record says.
        """
        again = f", v{self.restores} again" if self.restores is not None else ""
        said = f": {self.message}" if self.message else ""
        when = self.started.astimezone().strftime("%Y-%m-%d %H:%M")
        ended = f"{outcome or self.outcome.replace('_', ' ')}{again}{said}"
        return "  ".join(filter(None, (self.name, self.release.revision, when, ended)))

    def described(self, outcome: str | None = None) -> str:
        """The line that Python shows of it, with the reason of a failure; ``outcome`` as for ``line``."""
        reason = f" ({self.reason})" if self.reason else ""
        return f"<{self.api} {self.line(outcome)}{reason}>"

    def __repr__(self) -> str:
        return self.described()

    @property
    def author(self) -> str | None:
        """Whoever deployed, as people call them."""
        return readable(self.who) if self.who else None

    def ending(self, outcome: str, reason: str | None = None, *, at: datetime | None = None) -> Record:
        """The record of a deployment that has ended."""
        return replace(self, outcome=outcome, reason=reason, ended=at)

    def to_json(self) -> str:
        """Write the record as it is kept."""
        fields = asdict(self)
        fields["started"] = self.started.isoformat()
        fields["ended"] = self.ended.isoformat() if self.ended else None
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """Read a record as it is kept. Fields that this version does not know are passed over.

        Raises:
            ValueError: It is no record.
        """
        try:
            fields = json.loads(text)
            release, commit = _known(Release, fields["release"]), fields.get("commit")
            if release.get("file"):
                release["file"] = ConfigFile(**_known(ConfigFile, release["file"]))
            more = {
                "release": Release(**release),
                "commit": Commit(**_known(Commit, commit)) if commit else None,
                "started": datetime.fromisoformat(fields["started"]),
                "ended": datetime.fromisoformat(fields["ended"]) if fields.get("ended") else None,
                "changes": tuple(fields.get("changes", ())),
            }
            return cls(**{**_known(cls, fields), **more})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no record of a deployment: {error}") from error


def _known(kind: type, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in kind.__dataclass_fields__}  # type: ignore[attr-defined]


def readable(arn: str) -> str:
    """Name whoever an ARN stands for: a user, or a session of a role with the role ("IAM identifiers", IAM user guide).

    Args:
        arn: As ``GetCallerIdentity`` gives it.
    """
    kind, _, path = arn.rpartition(":")[2].partition("/")
    first, _, session = path.partition("/")
    if kind == "assumed-role" and session:
        set_of_permissions = _SSO_ROLE.fullmatch(first)
        return f"{session} ({set_of_permissions[1] if set_of_permissions else first})"
    return path.rpartition("/")[2] or kind


def digest_of(configuration: Mapping[str, Any]) -> str:
    """SHA-256 of the configuration of an API or splitter, in the user's order."""
    return hashlib.sha256(json.dumps(configuration).encode()).hexdigest()


def now() -> datetime:
    """This moment, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)
