"""The errors that a user can meet: one small tree, turned into output in one place (``cli``).

Every error says what happened in one line (``message``), what to do next (``hint``) and, where that
helps, more lines (``details``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_serving.formats.problem import Problem

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AccessDeniedError",
    "ApiFailedError",
    "CloudError",
    "ClusterError",
    "ConfigError",
    "CortexError",
    "DeployError",
    "Finding",
    "LocalCloudError",
    "NotDeployedError",
    "PayloadError",
    "PredictionError",
    "PreflightError",
    "Problem",
    "ProjectError",
    "UnavailableError",
    "WrongCallError",
]

HINT_LINE = "  hint: "
"""How a line of ``details`` begins that is the hint of the line above it."""


class CortexError(Exception):
    """Something went wrong that the user can act on.

    Args:
        message: One line: what happened, to what, and why.
        hint: One line: what to do next.
        details: Further lines, shown below the first.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)
        # Shown below a traceback, as in a notebook (PEP 678; from Python 3.11 on).
        self.__notes__ = [*details, *([f"hint: {hint}"] if hint else [])]

    def as_json(self) -> dict[str, Any]:
        """For scripts: every field, ``hint`` being null where there is none."""
        return {"message": self.message, "hint": self.hint, "details": list(self.details)}


class WrongCallError(CortexError):
    """What was asked for can never be right, whatever is deployed: such as a name with characters that no name has."""

    exit_code = 2


class ConfigError(CortexError):
    """The configuration, or a file that it names, cannot be used. Carries every problem at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first, *rest = [str(problem) for problem in problems]
        super().__init__(first, details=rest)
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Finding:
    """What a check found in the account or the cluster, before anything was created or changed there.

    Attributes:
        subject: The API, traffic splitter or cluster that it is about.
        message: What is wrong, in one line.
        hint: What to do next.
        fatal: Whether it stands in the way; else it is a warning.
    """

    subject: str
    message: str
    hint: str | None = None
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


class PreflightError(CortexError):
    """Checks found what stands in the way. Nothing was created or changed. Carries every finding at once.

    Args:
        outcome: What did not happen, such as ``nothing was deployed``: how the message begins where there are several.
        findings: The fatal ones, at least one.
    """

    def __init__(self, outcome: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        hints = {finding.hint for finding in findings}
        common = hints.pop() if len(hints) == 1 else None
        if len(findings) == 1:
            super().__init__(str(findings[0]), hint=common)
            return
        details = []
        for finding in findings:
            details.append(str(finding))
            if finding.hint and not common:
                details.append(f"{HINT_LINE}{finding.hint}")
        super().__init__(f"{outcome}: {len(findings)} problems were found", hint=common, details=details)

    def as_json(self) -> dict[str, Any]:
        """For scripts: each finding by itself, too."""
        findings = [{"subject": f.subject, "message": f.message, "hint": f.hint} for f in self.findings]
        return {**super().as_json(), "findings": findings}


class ProjectError(CortexError):
    """The project folder cannot be packed (too large, unreadable, a folder that is never a project)."""


class CloudError(CortexError):
    """The environment does not exist, cannot be reached, or its credentials do not work."""


class ClusterError(CortexError):
    """The cluster is missing or not in a state in which it can be used."""


class NotDeployedError(CortexError):
    """No API of that name is deployed in the environment."""

    @classmethod
    def among(cls, name: str, deployed: Iterable[str]) -> Self:
        """Say that nothing of that name is deployed, and what may be meant.

        Args:
            name: What the user named.
            deployed: Names of what is deployed.
        """
        import difflib

        close = difflib.get_close_matches(name, deployed, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return cls(f"{name} is not deployed", hint=f"{meant}list what is deployed with: cortex get")


class DeployError(CortexError):
    """A deployment was refused or failed. The message names the first cause."""


class PredictionError(CortexError):
    """The API did not answer a request with success.

    Args:
        message: One line: what happened, to what, and why.
        hint: One line: what to do next.
        details: Further lines.
        status: The answer's HTTP status; None where there was no answer.
        answer: The answer's body: the value of JSON, else text.
        request_id: By which the replica's log knows the request.
        answered_by: The API that answered; None where no replica did, but the load balancer or nobody.
        sent: The further lines for scripts, where those for people are worded otherwise.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: Sequence[str] = (),
        status: int | None = None,
        answer: Any = None,
        request_id: str | None = None,
        answered_by: str | None = None,
        sent: Sequence[str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self._sent = list(details if sent is None else sent)
        self.status = status
        self.answer = answer
        self.request_id = request_id
        self.answered_by = answered_by

    def as_json(self) -> dict[str, Any]:
        """For scripts: ``details`` as the API sent them."""
        return {**super().as_json(), "details": self._sent}

    @property
    def is_gone(self) -> bool:
        """Whether what is known of the API may be too old: nobody answered, or the load balancer knows no such API."""
        return self.answered_by is None and self.status in (None, 404, 502, 503)


class PayloadError(PredictionError, TypeError):
    """The API does not take what was sent (400, 413, 415, 422), or the fields are not those of its schema, and nothing
    was sent."""

    @property
    def problems(self) -> list[dict[str, str]]:
        """Each wrong field, as ``field`` and ``problem``, where the API names them."""
        found = self.answer.get("problems") if isinstance(self.answer, dict) else None
        return found if isinstance(found, list) else []


class AccessDeniedError(PredictionError):
    """The request had no good key (401), or one that is not for this API (403)."""


class UnavailableError(PredictionError):
    """Nobody answered, the API has no replica that serves or too many requests, or the answer broke off. The same
    request may succeed later."""


class ApiFailedError(PredictionError):
    """The predictor failed (500). The replica's log says why."""


class LocalCloudError(CortexError):
    """The local cloud cannot start, stop or be reached."""
