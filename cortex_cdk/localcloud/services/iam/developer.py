"""Who the developer is, whose credentials the account did not make: the user of this machine."""

from __future__ import annotations

import getpass
import re

from cortex_cdk.localcloud.settings import ACCOUNT_ID

# What names of IAM users are made of (CreateUser, UserName).
_OTHER = re.compile(r"[^\w+=,.@-]", re.ASCII)
_LONGEST = 64
_OF_MOTO = "user/moto"


def developer() -> str:
    """Return the ARN that GetCallerIdentity tells the developer."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a user that has no name.
        name = ""
    return f"arn:aws:iam::{ACCOUNT_ID}:user/{_OTHER.sub('_', name)[:_LONGEST] or 'developer'}"


def install() -> None:
    """Let STS name the developer."""
    from moto.sts.models import STSBackend

    known = STSBackend.get_caller_identity

    def get_caller_identity(self: STSBackend, access_key_id: str, region: str) -> tuple[str, str, str]:
        user, arn, account = known(self, access_key_id, region)
        return user, developer() if arn.endswith(_OF_MOTO) else arn, account

    STSBackend.get_caller_identity = get_caller_identity  # type: ignore[method-assign]
