"""What a replica was not allowed to do, and the lines of ``cortex.yaml`` that allow it.

Read from AWS's own text, which is in the log and in the reason of the replica's end ("Troubleshoot access denied error
messages", IAM user guide).
"""

from __future__ import annotations

import json

from cortex_cdk.aws.denials import read_denial

ROLE_SESSION = ":assumed-role/"
IDENTITY_BASED = "identity-based policy"


def remedy(text: str) -> str | None:
    """Say what to change so that replicas may do what they were denied.

    Args:
        text: What a replica said, such as a traceback's last line.

    Returns:
        One line; None where the text speaks of something else.
    """
    denial = read_denial(text)
    if denial is None or denial.action is None or ROLE_SESSION not in (denial.who or ""):
        return None
    if denial.forbidden_by == IDENTITY_BASED:
        return f"a Deny forbids {denial.action}: see predictor.iam_policies in cortex.yaml"
    if denial.forbidden_by:
        return denial.hint
    resource = json.dumps(denial.resource or "*")
    return (
        f"add to cortex.yaml: predictor.iam_policies: "
        f'[{{Effect: Allow, Action: "{denial.action}", Resource: {resource}}}]'
    )


def with_remedy(text: str) -> str:
    """Return a text with what to change, where the text speaks of a missing permission."""
    found = remedy(text)
    return f"{text}; {found}" if found else text
