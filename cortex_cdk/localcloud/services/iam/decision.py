"""Decides whether policies allow a request: an explicit deny wins, and nothing is allowed that no policy allows.

Pure: no back end is asked. Source: IAM user guide, "Policy evaluation logic"; the messages: "Troubleshoot access denied
error messages".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from cortex_cdk.localcloud.services.iam import conditions
from cortex_cdk.localcloud.services.iam.patterns import Context, matches, matches_arn

Document = Mapping[str, Any]
"""A policy document: ``Statement`` is a statement or a list of them."""
Statement = Mapping[str, Any]
Test = Callable[[Statement], bool]


@dataclass(frozen=True)
class Access:
    """One action on one resource, as policies see it.

    Attributes:
        action: Such as ``s3:GetObject``.
        resource: An ARN; ``*`` for an action that takes no resource.
        context: Values for conditions and variables that only this access has, by key in lower case.
    """

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Principal:
    """Who makes a request, and the policies that count.

    Attributes:
        arn: The ARN of a user, or of a session of a role (``arn:aws:sts::…:assumed-role/ROLE/SESSION``).
        identity: The policies of the user or role, inline and attached.
        boundary: The permissions boundary, or None.
        session: The policy that narrows one session (``sts:AssumeRole``), or None.
        role_arn: The ARN of the role, for a session.
        context: What is known about the principal, by condition key in lower case.
    """

    arn: str
    identity: tuple[Document, ...]
    boundary: Document | None = None
    session: Document | None = None
    role_arn: str | None = None
    context: Context = field(default_factory=dict)

    @property
    def account(self) -> str:
        """The id of the account."""
        return self.arn.split(":")[4]

    @property
    def names(self) -> frozenset[str]:
        """The ARNs that a resource's policy may name the principal by."""
        return frozenset(filter(None, (self.arn, self.role_arn)))


def refusal(principal: Principal, access: Access, resource_policies: Iterable[Document] = ()) -> str | None:
    """Return why a request is denied, in AWS's words; None if it is allowed.

    Args:
        principal: Who asks.
        access: What for.
        resource_policies: The policies of the resource itself, such as a bucket's, in the same account.
    """
    context = {**principal.context, **access.context}
    on_resource = [_effect(policy, access, context, _names_user(principal)) for policy in resource_policies]
    if False in on_resource:
        return _denied(principal, access, "with an explicit deny in a resource-based policy")
    identity = [_effect(policy, access, context) for policy in principal.identity]
    if False in identity:
        return _denied(principal, access, "with an explicit deny in an identity-based policy")
    if True not in identity and True not in on_resource:
        return _denied(principal, access, _nothing("identity-based policy", access))
    for kind, policy in (("permissions boundary", principal.boundary), ("session policy", principal.session)):
        effect = _effect(policy, access, context) if policy is not None else True
        if effect is False:
            return _denied(principal, access, f"with an explicit deny in a {kind}")
        if effect is None:
            return _denied(principal, access, _nothing(kind, access))
    return None


def trusts(policy: Document, principal: Principal, access: Access) -> bool:
    """Return whether the trust policy of a role names a principal, or the whole account, as one who may take the role.

    Where it names the account, the principal's own policies must allow to take the role, too.
    """
    context = {**principal.context, **access.context}
    account = {principal.account, f"arn:aws:iam::{principal.account}:root"}
    return _effect(policy, access, context, _naming("AWS", principal.names | account)) is True


def trusts_service(policy: Document, service: str, context: Context) -> bool:
    """Return whether the trust policy of a role lets a service take the role, such as ``ecs-tasks.amazonaws.com``.

    Args:
        policy: The trust policy.
        service: The service's principal.
        context: What the service says: ``aws:SourceAccount`` and ``aws:SourceArn``, by key in lower case.
    """
    return _effect(policy, Access("sts:AssumeRole"), context, _naming("Service", {service})) is True


def _nothing(kind: str, access: Access) -> str:
    return f"because no {kind} allows the {access.action} action"


def _denied(principal: Principal, access: Access, why: str) -> str:
    quote = '"' if access.action.startswith("s3:") else ""
    resource = f"{quote}{access.resource}{quote}"
    return f"User: {principal.arn} is not authorized to perform: {access.action} on resource: {resource} {why}"


def _effect(policy: Document, access: Access, context: Context, names: Test | None = None) -> bool | None:
    """Return what a policy says: True allows, False denies, None says nothing.

    Args:
        names: Tells whether a statement is about who asks, for a policy of a resource; None for the policies of who
            asks.
    """
    statements = policy.get("Statement", [])
    effects = {
        statement.get("Effect")
        for statement in ([statements] if isinstance(statements, Mapping) else statements)
        if _applies(statement, access, context) and (names is None or names(statement))
    }
    return False if "Deny" in effects else True if "Allow" in effects else None


def _applies(statement: Statement, access: Access, context: Context) -> bool:
    return (
        _selects(statement, "Action", lambda one: matches(one, access.action, context, ignore_case=True))
        and _selects(statement, "Resource", lambda one: matches_arn(one, access.resource, context))
        and conditions.hold(statement.get("Condition") or {}, context)
    )


def _selects(statement: Statement, element: str, fits: Callable[[str], bool]) -> bool:
    """Return whether ``Action`` or ``Resource`` has an entry that fits, or ``NotAction``, ``NotResource`` has none."""
    excluded = statement.get(f"Not{element}")
    if excluded is not None:
        return not any(map(fits, conditions.as_list(excluded)))
    # The trust policy of a role has no resource: it is the role.
    return element not in statement or any(map(fits, conditions.as_list(statement[element])))


def _names_user(principal: Principal) -> Test:
    """Return whether statements of a resource's policy are about a principal.

    A deny for the whole account is for everybody in it. To allow the account only lets the policies of users and roles
    decide, so it allows nobody here.
    """
    everybody = _naming("AWS", {principal.account, f"arn:aws:iam::{principal.account}:root"})
    itself = _naming("AWS", principal.names)
    return lambda statement: itself(statement) or (statement.get("Effect") == "Deny" and everybody(statement))


def _naming(kind: str, names: AbstractSet[str]) -> Test:
    def is_named(statement: Statement) -> bool:
        named = statement.get("Principal", {})
        return named == "*" or bool({"*", *names} & set(conditions.as_list(named.get(kind, []))))

    return is_named
