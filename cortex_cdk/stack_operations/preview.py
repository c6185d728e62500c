"""What changing a stack would do, read and computed before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.stack_operations.access_changes import AccessChange, access_changes
from cortex_cdk.stack_operations.recovery import Recovery
from cortex_cdk.stack_operations.stack import StackState
from cortex_cdk.stack_operations.template_changes import ADD, ResourceChange, compare
from cortex_cdk.stack_operations.template_values import resources_of

CREATE, UPDATE, NOTHING = "create", "update", "nothing"


@dataclass(frozen=True)
class StackPreview:
    """What would become of one stack.

    Attributes:
        stack: The stack's name.
        action: ``create``, ``update`` or ``nothing``.
        resources: The resources that would change.
        access: What would be opened or closed.
        tags_change: Whether the tags of all its resources change.
        recovery: What has to happen to the stack first, in words; None where it can be changed as it is.
    """

    stack: str
    action: str
    resources: tuple[ResourceChange, ...] = ()
    access: tuple[AccessChange, ...] = ()
    tags_change: bool = False
    recovery: str | None = None

    @property
    def changes(self) -> bool:
        """Whether anything would be done."""
        return self.action != NOTHING

    def as_json(self) -> dict[str, Any]:
        """What a plan in JSON says of the stack."""
        return {
            "stack": self.stack,
            "action": self.action,
            "recovery": self.recovery,
            "resources": [resource.as_json() for resource in self.resources],
            "access": [change.as_json() for change in self.access],
            "tags_change": self.tags_change,
        }


def read_template(cloud: Cloud, stack_name: str) -> Mapping[str, Any]:
    """Read the template of a stack; empty where it is not JSON, and so none of ours."""
    template: Any = cloud.cloudformation.get_template(StackName=stack_name)["TemplateBody"]
    return template if isinstance(template, Mapping) else {}


def preview(
    cloud: Cloud,
    stack: StackState | None,
    stack_name: str,
    *,
    template: Mapping[str, Any] | None,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    recovery: Recovery | None = None,
    outputs_matter: bool = True,
) -> StackPreview:
    """Find out what a template would change.

    Args:
        cloud: A session of the environment. It is only read from.
        stack: The stack as it is; None where there is none, or nothing is left of it once it is recovered.
        stack_name: Its name.
        template: The new template; None keeps the deployed one.
        parameters: The values of its parameters.
        tags: The stack's tags.
        recovery: What has to happen to the stack first.
        outputs_matter: Whether a template that changes no resource, and only outputs, is a change.
    """
    first = recovery.value if recovery else None
    if stack is None:
        after = resources_of(template or {}, parameters)
        added = tuple(ResourceChange(ADD, name, resource["Type"]) for name, resource in after.items())
        return StackPreview(stack_name, CREATE, added, access_changes({}, after), recovery=first)
    deployed = read_template(cloud, stack_name)
    before = resources_of(deployed, stack.parameters)
    wanted = deployed if template is None else template
    after = resources_of(wanted, parameters)
    changes, tags_change = compare(before, after), dict(stack.tags) != dict(tags)
    is_same = not changes and not tags_change and not recovery and (not outputs_matter or wanted == deployed)
    return StackPreview(
        stack=stack_name,
        action=NOTHING if is_same else UPDATE,
        resources=changes,
        access=access_changes(before, after),
        tags_change=tags_change,
        recovery=first,
    )
