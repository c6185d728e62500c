"""Temporary credentials of tasks: ECS takes the task role on a task's behalf, and the task asks for the credentials.

Sessions live as long as the daemon: so do its tasks. Sessions of ``sts:AssumeRole`` are moto's.
Source: ECS developer guide, "Amazon ECS task IAM role"; SDK reference guide, "Container credential provider".
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from moto.sts.models import AssumedRole, STSBackend

from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

DURATION = timedelta(hours=6)
"""How long credentials of a task are valid. The ECS agent does the same."""
ACCOUNT_OFFSET = 1 << 39
TEMPORARY, PERMANENT = "ASIA", "AKIA"


def _account_part() -> str:
    """Return the characters of every access key that tell its account: the id, halved, in base 32."""
    number = int(ACCOUNT_ID) // 2 + ACCOUNT_OFFSET
    return base64.b32encode(number.to_bytes(5, "big")).decode()


ACCOUNT_PART = _account_part()


def is_of_account(access_key: str) -> bool:
    """Return whether an access key was made in this account, whether or not it still exists."""
    return access_key[:4] in (TEMPORARY, PERMANENT) and access_key[4 : 4 + len(ACCOUNT_PART)] == ACCOUNT_PART


@dataclass
class Session:
    """A role that a task has taken.

    Attributes:
        role_arn: The ARN of the role.
        name: The session's name: the id of the task.
        token: What the task must show to get its credentials.
        access_key: The id of the access key.
        expiration: When the credentials end. Each time the task asks, they are prolonged.
    """

    role_arn: str
    name: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    access_key: str = field(
        default_factory=lambda: TEMPORARY + ACCOUNT_PART + base64.b32encode(secrets.token_bytes(5)).decode()
    )
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    session_token: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    expiration: datetime = field(default_factory=lambda: datetime.now(timezone.utc) + DURATION)

    def credentials(self) -> dict[str, str]:
        """Return the answer of the credentials endpoint, valid from now on."""
        self.expiration = datetime.now(timezone.utc) + DURATION
        return {
            "RoleArn": self.role_arn,
            "AccessKeyId": self.access_key,
            "SecretAccessKey": self.secret_key,
            "Token": self.session_token,
            "Expiration": self.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class Sessions:
    """The sessions of all tasks that run. Whoever changes them holds the lock; each reading is one look."""

    def __init__(self) -> None:
        self._by_name: dict[str, Session] = {}
        self._by_key: dict[str, Session] = {}

    def begin(self, role_arn: str, name: str) -> Session:
        """Take a role for a task."""
        session = Session(role_arn, name)
        self._by_name[name] = self._by_key[session.access_key] = session
        return session

    def end(self, name: str) -> None:
        """Forget a task's session, if it has one. Its credentials are refused from now on."""
        session = self._by_name.pop(name, None)
        if session:
            del self._by_key[session.access_key]

    def of_key(self, access_key: str) -> Session | None:
        """Return the session of an access key."""
        return self._by_key.get(access_key)

    def of_token(self, name: str, token: str) -> Session | None:
        """Return the session of a name if the token is the session's own, else None."""
        session = self._by_name.get(name)
        return session if session and hmac.compare_digest(session.token.encode(), token.encode()) else None


SESSIONS = Sessions()


class TaskSession(AssumedRole):
    """A task's session as moto's STS tells about it (GetCallerIdentity)."""

    def __init__(self, session: Session) -> None:
        self.account_id, self.region_name, self.partition = ACCOUNT_ID, REGION, "aws"
        self.role_arn, self.session_name = session.role_arn, session.name


def install() -> None:
    """Let moto's STS know the sessions of tasks. More calls change nothing."""
    known = STSBackend.get_assumed_role_from_access_key
    if known.__module__ != __name__:

        def get_assumed_role_from_access_key(self: Any, access_key_id: str) -> AssumedRole | None:
            session = SESSIONS.of_key(access_key_id)
            return TaskSession(session) if session else known(self, access_key_id)

        STSBackend.get_assumed_role_from_access_key = get_assumed_role_from_access_key  # type: ignore[method-assign]
