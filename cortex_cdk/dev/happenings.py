"""What happens while a project is developed, for whoever shows that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cortex_cdk.errors import CortexError
from cortex_cdk.logs import LogRecord
from cortex_cdk.replicas.revisions import Rollout


@dataclass(frozen=True)
class Deploying:
    """A deployment begins.

    Attributes:
        files: The files that have changed; none for the first deployment.
    """

    files: tuple[str, ...]

    def as_json(self) -> Mapping[str, Any]:
        """The fields for scripts."""
        return {"event": "deploying", "files": list(self.files)}


@dataclass(frozen=True)
class Step:
    """A deployment says what it does.

    Attributes:
        subject: The API, or what else it is about.
        text: In a few words.
    """

    subject: str
    text: str

    def as_json(self) -> Mapping[str, Any]:
        """The fields for scripts."""
        return {"event": "step", "subject": self.subject, "text": self.text}


@dataclass(frozen=True)
class Moved:
    """Replicas of an API have come or gone.

    Attributes:
        api: The API.
        rollout: How many there are, by revision.
    """

    api: str
    rollout: Rollout

    def as_json(self) -> Mapping[str, Any]:
        """The fields for scripts."""
        new = self.rollout.new
        counts = {"desired": new.desired, "running": new.running, "healthy": new.healthy, "failed": new.failed}
        return {"event": "replicas", "api": self.api, "revision": new.revision, "state": new.state, **counts}


@dataclass(frozen=True)
class Live:
    """An API answers with what was saved.

    Attributes:
        api: The API.
        endpoint: Its URL.
        revision: The revision that answers.
        seconds: How long that took from the save; None where nothing was to be done.
    """

    api: str
    endpoint: str
    revision: str
    seconds: float | None

    def as_json(self) -> Mapping[str, Any]:
        """The fields for scripts."""
        seconds = None if self.seconds is None else round(self.seconds, 2)
        return {"event": "live", "api": self.api, "endpoint": self.endpoint, "revision": self.revision,
                "seconds": seconds}  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """The sample was sent.

    Attributes:
        api: The API.
        text: The answer.
        error: Why there is none; else None.
    """

    api: str
    text: str
    error: CortexError | None = None

    def as_json(self) -> Mapping[str, Any]:
        """The fields for scripts."""
        failure = self.error.as_json() if self.error else None
        return {"event": "answer", "api": self.api, "answer": self.text, "failure": failure}


@dataclass(frozen=True)
class Failed:
    """What was saved does not serve.

    Attributes:
        error: Why.
        serving: The revisions that serve in its place, by API.
    """

    error: CortexError
    serving: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> Mapping[str, Any]:
        """The fields for scripts."""
        return {"event": "failed", "failure": self.error.as_json(), "serving": dict(self.serving)}


@dataclass(frozen=True)
class Logged:
    """A replica has logged something.

    Attributes:
        api: The API.
        record: What.
    """

    api: str
    record: LogRecord

    def as_json(self) -> Mapping[str, Any]:
        """The fields for scripts."""
        record = self.record
        return {"event": "log", "api": self.api, "time": record.time.isoformat(), "replica": record.replica,
                "level": record.level, "message": record.message, "traceback": list(record.traceback)}  # fmt: skip


Happening: TypeAlias = Deploying | Step | Moved | Live | Answered | Failed | Logged
