"""Calls that IAM does not allow: who may not do what, on what, and what to do about it.

AWS says so in several ways: as the error of a call of ours, with a code that depends on the service, and as the reason
of an event where CloudFormation made the call. The texts: "Access denied error messages" (IAM User Guide).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Client.UnauthorizedOperation",
        "Forbidden",
        "NotAuthorized",
        "UnauthorizedAccess",
        "UnauthorizedException",
        "UnauthorizedOperation",
        # S3 answers HEAD requests without a body, so that botocore has no code but the status (HeadObject, HeadBucket).
        "403",
    }
)
"""Codes of errors that mean that the caller has no permission; they differ by service."""
_ACTIONS = {
    # Who may not list a bucket is not told that an object is missing ("HeadObject", Amazon S3 API reference).
    "HeadObject": "s3:GetObject (or s3:ListBucket, if the object does not exist)",
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
}
"""Actions of operations that are named otherwise (Service Authorization Reference, Amazon S3)."""
_WHO = re.compile(r"User: (?P<who>arn:\S+|anonymous)")
_ACTION = re.compile(r"not authorized to perform:? \[?(?P<action>[a-z0-9-]+:\w+)")
_ON = re.compile(r"on (?:the )?resource:? [\"']?(?P<resource>[^\s\"'()]+)")
_API = re.compile(r"API: (?P<action>[a-z0-9-]+:\w+) You are not authorized")
_EXPLICIT = re.compile(
    r"with an explicit deny in (?:an? )?(?P<policy>[\w-]+(?: [\w-]+)*? policy|[\w-]*boundary|permissions boundary)"
)
_LIMITED = re.compile(
    r"no (?P<policy>permissions boundary|service control policy|resource control policy|session policy) allows"
)
_ENCODED = re.compile(r"Encoded authorization failure message: (?P<text>[\w-]+)")
_OF_CLOUDFORMATION = "/AWSCloudFormation"


@dataclass(frozen=True)
class Denial:
    """A call that is not allowed.

    Attributes:
        action: The action, such as ``ecs:UpdateService``; None where AWS does not say.
        who: ARN of the caller; None where AWS does not say.
        resource: ARN of what the action was to be done on; None where AWS does not say.
        forbidden_by: The kind of policy that forbids the call, whatever others allow; None where one is to be added to.
        encoded: EC2's own account of the reasons, which only ``sts decode-authorization-message`` can read.
    """

    action: str | None
    who: str | None = None
    resource: str | None = None
    forbidden_by: str | None = None
    encoded: str | None = None

    @property
    def sentence(self) -> str:
        """Who may not do what, on what."""
        on = f" on {self.resource}" if self.resource and self.resource != "*" else ""
        by = f": {_a(self.forbidden_by)} forbids it" if self.forbidden_by else ""
        return f"{self.who or 'the caller'} may not do {self.action or 'this'}{on}{by}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.forbidden_by:
            return f"ask whoever manages the {self.forbidden_by}: what other policies allow makes no difference"
        if self.who and _OF_CLOUDFORMATION in self.who:
            return "give the role of CloudFormation what this prints: cortex cluster policy --for cloudformation"
        return "the policies that are needed are printed by: cortex cluster policy"

    @property
    def details(self) -> list[str]:
        """How to find out more; empty where AWS has said everything."""
        if not self.encoded:
            return []
        return [f"AWS tells the reasons by: aws sts decode-authorization-message --encoded-message {self.encoded}"]


def _a(policy: str) -> str:
    return f"{'an' if policy[0] in 'aeiou' else 'a'} {policy}"


def denial_of(error: ClientError) -> Denial | None:
    """Read a denial from an error of AWS.

    Returns:
        None where the call failed for another reason.
    """
    answer = error.response.get("Error", {})
    if answer.get("Code", "") not in CODES:
        return None
    found = read_denial(answer.get("Message", ""))
    if found and found.action:
        return found
    action = _ACTIONS.get(error.operation_name)
    return Denial(action or error.operation_name, who=found.who if found else None)


def read_denial(text: str) -> Denial | None:
    """Read a denial from a text of AWS, such as the reason of a stack's event.

    Returns:
        None where the text speaks of something else.
    """
    action = _ACTION.search(text) or _API.search(text)
    if action is None and "not authorized to perform" not in text and "HandlerErrorCode: AccessDenied" not in text:
        return None
    forbidding = _EXPLICIT.search(text) or _LIMITED.search(text)
    who, resource, encoded = _WHO.search(text), _ON.search(text), _ENCODED.search(text)
    return Denial(
        action["action"] if action else None,
        who=who["who"] if who else None,
        resource=resource["resource"] if resource else None,
        forbidden_by=forbidding["policy"] if forbidding else None,
        encoded=encoded["text"] if encoded else None,
    )
