"""Change sets: what CloudFormation says when two deployments begin at the same time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.change_set import create_change_set


def cloud_that_answers(message: str) -> Any:
    """A stand-in for CloudFormation, which refuses to make a change set."""

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "CreateChangeSet")

    return SimpleNamespace(cloudformation=SimpleNamespace(create_change_set=refuse))


def create(message: str, *, creates: bool) -> None:
    create_change_set(cloud_that_answers(message), "s", template={}, parameters={}, tags={}, creates=creates)


@pytest.mark.parametrize(
    ("creates", "message"),
    [
        (
            False,
            "Stack:arn:aws:cloudformation:eu-west-1:1:stack/s/1 is in UPDATE_IN_PROGRESS state and can not be updated.",
        ),
        (True, "Stack [s] already exists and cannot be created again with the changeSet [cortex-1]."),
    ],
)
def test_a_deployment_that_was_quicker_is_named_as_such(creates: bool, message: str) -> None:
    with pytest.raises(DeployError, match="another operation, which began at the same time"):
        create(message, creates=creates)


def test_other_refusals_keep_their_own_words() -> None:
    with pytest.raises(ClientError, match="Parameters"):
        create("Parameters: [x] do not exist in the template", creates=False)
