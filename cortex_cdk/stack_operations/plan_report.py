"""A plan as it is shown, before a question or with ``--plan``: stacks, access, cost, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_cdk.capacity.pricing import Estimate
from cortex_cdk.stack_operations.preview import NOTHING, StackPreview


@dataclass(frozen=True)
class PlannedStack:
    """What would become of a cluster, an API or a traffic splitter.

    Attributes:
        name: Its name.
        kind: ``Cluster``, ``RealtimeAPI`` or ``TrafficSplitter``.
        preview: What would become of its stack.
        lines: What changes of the user's files and fields, a line for each.
        replaces_replicas: Whether replicas would be replaced.
        differences: The same as ``lines``, as an object for scripts; None where there is nothing to compare with.
    """

    name: str
    kind: str
    preview: StackPreview
    lines: tuple[str, ...] = ()
    replaces_replicas: bool = False
    differences: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The object in ``stacks`` of a plan in JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            **self.preview.as_json(),
            "replaces_replicas": self.replaces_replicas,
            "differences": self.differences,
        }


@dataclass(frozen=True)
class PlanReport:
    """What a command would do.

    Attributes:
        stacks: The stacks in the order in which they would be changed; also those that stay as they are.
        cost_before: What is deployed costs that much; None where nothing is, or it is not known.
        cost_after: What would be deployed costs that much.
        checked: What was checked, in words.
        warnings: What may go wrong.
        images: The images that would be built, by the APIs that run on them.
    """

    stacks: tuple[PlannedStack, ...]
    cost_before: Estimate | None
    cost_after: Estimate | None
    checked: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    images: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        stacks = ", ".join(f"{stack.name}: {stack.preview.action}" for stack in self.stacks)
        return f"<plan: {stacks or 'nothing'}>"

    @classmethod
    def unchanged(cls, name: str, kind: str, stack: str) -> PlanReport:
        """The plan for something that stays as it is."""
        return cls((PlannedStack(name, kind, StackPreview(stack, NOTHING)),), None, None, ())

    @property
    def changes(self) -> bool:
        """Whether anything would be done."""
        return any(stack.preview.changes for stack in self.stacks)

    def as_json(self) -> dict[str, Any]:
        """The object that ``--plan -o json`` prints; docs/ci.md has its fields."""
        before, after = self.cost_before, self.cost_after
        return {
            "changes": self.changes,
            "stacks": [stack.as_json() for stack in self.stacks],
            "images": list(self.images),
            "cost": {"before": before.as_json() if before else None, "after": after.as_json() if after else None},
            "checked": list(self.checked),
            "warnings": list(self.warnings),
        }
