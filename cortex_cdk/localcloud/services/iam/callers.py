"""Tells who makes a request, by the access key of its signature, and which policies the caller has.

A key that this account has made belongs to a user, or to a session of a role. Any other credentials are those of the
developer, who may do everything: nobody has to set anything up to work with the local cloud.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import Policy, iam_backends
from moto.sts.models import sts_backends

from cortex_cdk.localcloud.services.iam.decision import Document, Principal, trusts_service
from cortex_cdk.localcloud.services.iam.managed_policies import know
from cortex_cdk.localcloud.services.iam.sessions import SESSIONS, is_of_account
from cortex_cdk.localcloud.settings import ACCOUNT_ID, PARTITION

ECS_TASKS = "ecs-tasks.amazonaws.com"


class InvalidKeyError(Exception):
    """An access key of this account is not valid, or no longer. ``code`` is the error's code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def principal_of(access_key: str) -> Principal | None:
    """Return who an access key belongs to; None for the developer.

    Raises:
        InvalidKeyError: The account made the key, and the key or its owner is gone, inactive or expired.
    """
    if not is_of_account(access_key):
        return None
    session = SESSIONS.of_key(access_key)
    if session:
        return _of_session(session.role_arn, session.name, session.expiration)
    assumed = sts_backends[ACCOUNT_ID][PARTITION].get_assumed_role_from_access_key(access_key)
    if assumed:
        expiration = assumed.expiration.replace(tzinfo=timezone.utc)
        return _of_session(assumed.role_arn, assumed.session_name, expiration, assumed.policy)
    return _of_user(access_key)


def session_of(role_arn: str, name: str) -> Principal:
    """Return a session of a role that a service takes for a moment.

    Raises:
        InvalidKeyError: There is no such role.
    """
    return _of_session(role_arn, name, datetime.max.replace(tzinfo=timezone.utc))


def role(name: str) -> Any:
    """Return moto's role of a name or ARN; None if there is none."""
    try:
        return _iam().get_role(name.rpartition("/")[2])
    except NotFoundException:
        return None


def lets_ecs(role_arn: str, task_arn: str) -> bool:
    """Return whether a role is there and its trust policy lets ECS take the role for a task.

    Source: "Amazon ECS task IAM role", which also names the condition keys.
    """
    found = role(role_arn)
    context = {"aws:sourceaccount": (ACCOUNT_ID,), "aws:sourcearn": (task_arn,)}
    return found is not None and trusts_service(json.loads(found.assume_role_policy_document), ECS_TASKS, context)


def _iam() -> Any:
    return iam_backends[ACCOUNT_ID][PARTITION]


def _of_session(role_arn: str, name: str, expiration: datetime, policy: str | None = None) -> Principal:
    found = role(role_arn)
    if found is None:
        raise InvalidKeyError("InvalidClientTokenId", "The security token included in the request is invalid.")
    if expiration < datetime.now(timezone.utc):
        raise InvalidKeyError("ExpiredToken", "The security token included in the request is expired.")
    arn = f"arn:{PARTITION}:sts::{ACCOUNT_ID}:assumed-role/{found.name}/{name}"
    return Principal(
        arn=arn,
        identity=_policies(found),
        boundary=_boundary(found),
        session=json.loads(policy) if policy else None,
        role_arn=role_arn,
        context={
            # The role, not its session. Source: "AWS global condition context keys".
            **_about(role_arn, f"{found.id}:{name}", "AssumedRole"),
            **{f"aws:principaltag/{tag['Key'].lower()}": (tag["Value"],) for tag in _tags(found.tags)},
        },
    )


def _of_user(access_key: str) -> Principal:
    iam = _iam()
    user = iam.get_user_from_access_key_id(access_key)
    if user is None or any(key.access_key_id == access_key and key.status != "Active" for key in user.access_keys):
        raise InvalidKeyError("InvalidClientTokenId", "The security token included in the request is invalid.")
    owners = [user, *(group for group in iam.list_groups() if user in group.users)]
    return Principal(
        arn=user.arn,
        identity=tuple(policy for owner in owners for policy in _policies(owner)),
        context={"aws:username": (user.name,), **_about(user.arn, user.id, "User")},
    )


def _about(arn: str, identifier: str, kind: str) -> dict[str, tuple[str, ...]]:
    return {
        "aws:principalarn": (arn,),
        "aws:principalaccount": (ACCOUNT_ID,),
        "aws:principaltype": (kind,),
        "aws:userid": (identifier,),
    }


def _policies(owner: Any) -> tuple[Document, ...]:
    """Return the policies of a user, group or role, inline and attached."""
    inline: Iterable[Any] = owner.policies.values()
    attached = (_text(policy) for policy in owner.managed_policies.values())
    return tuple(json.loads(text) for text in (*inline, *attached))


def _text(policy: Policy) -> str:
    """Return the document of a managed policy, in its default version."""
    return str(next(version.document for version in policy.versions if version.is_default))


def _boundary(owner: Any) -> Document | None:
    arn = owner.permissions_boundary_arn
    if not arn:
        return None
    iam = _iam()
    know(iam, arn)
    # A boundary that was deleted allows nothing.
    return json.loads(_text(iam.managed_policies[arn])) if arn in iam.managed_policies else {"Statement": []}


def _tags(tags: Any) -> list[dict[str, str]]:
    if isinstance(tags, dict):
        return [{"Key": key, "Value": value["Value"]} for key, value in tags.items()]
    return tags or []
