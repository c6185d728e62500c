"""How many replicas an API begins with: said while its stack is made, and forgotten as soon as it is there.

CloudFormation leaves the number of replicas to the autoscaler only where the template says none. Left in the stack, the
first number would be part of what an update that fails goes back to, and ten replicas would become one
("DesiredCount" in the resource's schema: "if unspecified, it will not be updated"; coverage-roadmap issue 187).
"""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.change_set import create_change_set
from cortex_cdk.stack_operations.operation import run
from cortex_cdk.stack_operations.progress import Silent
from cortex_cdk.stack_operations.stack import read_stack

DEFAULT = 1
"""With how many replicas ECS begins where it is told no number (DesiredCount in the schema of AWS::ECS::Service)."""


def initial_replicas(count: int) -> str:
    """The parameter's value for a new stack: empty where that is what ECS does anyway, so that nothing is to forget."""
    return "" if count == DEFAULT else str(count)


def forget_initial_replicas(cloud: Cloud, stack_name: str, role: str | None) -> None:
    """Take the number out of a stack that has been made. No replica is touched.

    Args:
        cloud: Where the stack is.
        stack_name: The stack.
        role: ARN of the role that CloudFormation takes; None leaves that to the stack.

    Raises:
        DeployError: The stack could not be changed.
    """
    stack = read_stack(cloud, stack_name)
    if stack is None or not stack.parameters.get(names.Parameter.INITIAL_REPLICAS):
        return
    parameters = {**stack.parameters, names.Parameter.INITIAL_REPLICAS: ""}
    change_set = create_change_set(
        cloud, stack_name, template=None, parameters=parameters, tags=stack.tags, creates=False, role=role
    )
    outcome = run(cloud, change_set, stack_name, Silent()) if change_set else None
    if outcome and not outcome.succeeded:
        reason = outcome.cause.reason if outcome.cause else (outcome.stack.reason if outcome.stack else "it is gone")
        raise DeployError(
            f"{stack_name}: the number of its first replicas could not be taken out of the stack: {reason}",
            hint="deploy again: until then an update that fails may bring that number of replicas back",
        )
