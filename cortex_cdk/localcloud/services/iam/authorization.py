"""Allows or denies each call of a user or role, before any back end sees the call.

The developer, whose credentials the account did not make, may do everything. For all others: who calls (``callers``),
which actions on which resources the call means (``s3_access``, ``resource_arns``), and what the policies say
(``decision``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cortex_cdk.localcloud.services.iam import api_call, resource_arns, s3_access
from cortex_cdk.localcloud.services.iam.api_call import ApiCall
from cortex_cdk.localcloud.services.iam.callers import InvalidKeyError, principal_of, role
from cortex_cdk.localcloud.services.iam.decision import Access, Principal, refusal, trusts
from cortex_cdk.localcloud.services.iam.developer import developer
from cortex_cdk.localcloud.services.iam.patterns import Context
from cortex_cdk.localcloud.settings import HOST, REGION

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ALWAYS_ALLOWED = ("sts:GetCallerIdentity", "sts:GetSessionToken", "sts:GetAccessKeyInfo")
"""Actions that need no permission (API reference of STS)."""


@dataclass(frozen=True)
class Denial:
    """The answer to a call that is not allowed.

    Attributes:
        status: The status of HTTP.
        code: The error's code, as the service of the call names it.
        message: Who may not do what, and why.
    """

    status: str
    code: str
    message: str


def denial(environ: WSGIEnvironment) -> Denial | None:
    """Return why a signed request is denied; None if it is allowed. The caller holds the lock."""
    try:
        principal = principal_of(api_call.access_key(environ))
    except InvalidKeyError as error:
        return _invalid_key(api_call.read(environ), error)
    if principal is None:
        return _no_such_role(environ)
    call = api_call.read(environ)
    if call.action in ALWAYS_ALLOWED:
        return None
    refused = _refusal(principal, call)
    return _denied(call, refused) if refused else None


def _no_such_role(environ: WSGIEnvironment) -> Denial | None:
    """Return why the developer cannot take a role: there is none.

    moto would give credentials of any role. The CDK's toolkit asks for the roles of a bootstrapped account, and goes on
    with the caller's own credentials where AWS refuses.
    """
    if api_call.service(environ) != "sts":
        return None
    call = api_call.read(environ)
    if call.operation != "AssumeRole" or role(call.text("RoleArn")):
        return None
    return _denied(
        call, f"User: {developer()} is not authorized to perform: {call.action} on resource: {call.text('RoleArn')}"
    )


def _refusal(principal: Principal, call: ApiCall) -> str | None:
    of_request = _context()
    for access in s3_access.accesses(call) if call.service == "s3" else resource_arns.accesses(call):
        refused = refused_access(principal, replace(access, context={**of_request, **access.context}), call)
        if refused:
            return refused
    return None


def refused_access(principal: Principal, access: Access, call: ApiCall) -> str | None:
    """Return why one access of a call is denied, in AWS's words; None if it is allowed."""
    if access.action == "sts:AssumeRole":
        return _assume_role(principal, access)
    policies = s3_access.bucket_policies(call) if access.action.startswith("s3:") else ()
    return refusal(principal, access, policies)


def _assume_role(principal: Principal, access: Access) -> str | None:
    taken = role(access.resource)
    trust = json.loads(taken.assume_role_policy_document) if taken else {"Statement": []}
    named = replace(access, resource="*")
    if not trusts(trust, principal, named):
        return f"User: {principal.arn} is not authorized to perform: {access.action} on resource: {access.resource}"
    return refusal(principal, access, [trust])


def _context() -> Context:
    """Return what each request has ("AWS global condition context keys"). The loopback interface counts as TLS."""
    now = datetime.now(timezone.utc)
    return {
        "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:requestedregion": (REGION,),
        "aws:securetransport": ("true",),
        "aws:sourceip": (HOST,),
        "aws:viaawsservice": ("false",),
    }


def _denied(call: ApiCall, message: str) -> Denial:
    """Return the error of a service ("Common errors" of the services' API references)."""
    if call.service == "ec2":
        return Denial(
            "403 Forbidden", "UnauthorizedOperation", f"You are not authorized to perform this operation. {message}"
        )
    if "x-amz-target" in call.headers:
        return Denial("400 Bad Request", "AccessDeniedException", message)
    return Denial("403 Forbidden", "AccessDenied", message)


def _invalid_key(call: ApiCall, error: InvalidKeyError) -> Denial:
    names = {"InvalidClientTokenId": "UnrecognizedClientException", "ExpiredToken": "ExpiredTokenException"}
    if call.service == "s3":
        return Denial(
            "403 Forbidden", {"InvalidClientTokenId": "InvalidAccessKeyId"}.get(error.code, error.code), str(error)
        )
    if "x-amz-target" in call.headers:
        return Denial("400 Bad Request", names[error.code], str(error))
    return Denial("403 Forbidden", error.code, str(error))
