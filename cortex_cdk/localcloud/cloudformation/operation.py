"""Runs the operations on a stack: create, update, roll back, delete. Each has a thread of its own.

An operation converges: it walks a template in dependency order, makes each resource as the template says, and skips a
resource that is so already. A roll-back is the same walk over the previous template. Resources are removed last, in the
opposite order. The stack keeps all facts that an operation needs, so ``resume`` can take up an operation that the end
of the daemon interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.core.utils import utcnow

from cortex_cdk.localcloud.cloudformation.functions import Scope
from cortex_cdk.localcloud.cloudformation.stack import Stack, StackResource
from cortex_cdk.localcloud.cloudformation.steps import CancelledError, StepFailedError, Steps, reason_of
from cortex_cdk.localcloud.cloudformation.template import dependencies, dependency_order, parse
from cortex_cdk.localcloud.state_lock import STATE_LOCK

RESTARTED = "The local cloud was stopped while the operation ran."
RETAINING = ("Retain", "RetainExceptOnCreate")

log = logging.getLogger("cortex.local.cloudformation")


class Operation:
    """One operation on one stack.

    Args:
        stack: The stack. Its status says what the operation has to do.
        exports: Gives the exported values of all stacks by name.
        moved: Is called after each step, so that the reconciler looks.
        settled: Is called with the lock held when the stack has its final status, before anybody can see the status.
    """

    def __init__(
        self,
        stack: Stack,
        exports: Callable[[], Mapping[str, Any]],
        moved: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        self._stack = stack
        self._exports = exports
        self._settled = settled
        self._steps = Steps(stack, moved)

    def run(self) -> None:
        """Do what the stack's status says. Raise nothing, and always end in a final status."""
        work = {
            "CREATE_IN_PROGRESS": self._create,
            "UPDATE_IN_PROGRESS": self._update,
            "UPDATE_ROLLBACK_IN_PROGRESS": self._roll_back_update,
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": lambda: self._clean_up("UPDATE_COMPLETE"),
            "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": lambda: self._clean_up("UPDATE_ROLLBACK_COMPLETE"),
            "ROLLBACK_IN_PROGRESS": self._roll_back_creation,
            "DELETE_IN_PROGRESS": self._delete,
        }[self._stack.status]
        try:
            work()
        except Exception as error:
            log.exception("operation on %s", self._stack.name)
            operation = self._stack.status.removesuffix("_IN_PROGRESS").removesuffix("_COMPLETE_CLEANUP")
            self._end(f"{operation}_FAILED", f"Internal failure: {reason_of(error)}")

    def resume(self) -> None:
        """Resume an operation that the end of the daemon interrupted. A resource that was being made is rolled back."""
        stack = self._stack
        with STATE_LOCK:
            broken = [r for r in stack.resources.values() if r.status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")]
            for resource in broken:
                resource.properties = None
                stack.note(resource, resource.status.replace("_IN_PROGRESS", "_FAILED"), RESTARTED)
        if stack.status == "CREATE_IN_PROGRESS":
            self._creation_failed(RESTARTED)
        elif stack.status == "UPDATE_IN_PROGRESS":
            self._update_failed(RESTARTED)
        else:
            self.run()

    def _create(self) -> None:
        try:
            self._converge()
        except StepFailedError as failure:
            self._creation_failed(f"The following resource(s) failed to create: [{failure.logical_id}].")
        except CancelledError:
            self._stack.on_failure = "DELETE" if self._stack.doomed else self._stack.on_failure
            self._creation_failed("Creation cancelled.")
        else:
            self._end("CREATE_COMPLETE")

    def _creation_failed(self, reason: str) -> None:
        if self._stack.on_failure == "DO_NOTHING":
            self._end("CREATE_FAILED", reason)
        elif self._stack.on_failure == "DELETE":
            self._turn("DELETE_IN_PROGRESS", f"{reason} Delete requested by user.")
            self._delete()
        else:
            self._turn("ROLLBACK_IN_PROGRESS", f"{reason} Rollback requested by user.")
            self._roll_back_creation()

    def _roll_back_creation(self) -> None:
        failed = self._remove(self._stack.resources.values(), retaining=("Retain",))
        self._end(*_verdict("ROLLBACK", failed))

    def _update(self) -> None:
        try:
            self._converge()
        except StepFailedError as failure:
            self._update_failed(update_failure(failure.logical_id))
        except CancelledError:
            self._update_failed("User Initiated")
        else:
            self._turn("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up("UPDATE_COMPLETE")

    def _update_failed(self, reason: str) -> None:
        if self._stack.on_failure == "DO_NOTHING":
            self._end("UPDATE_FAILED", reason)
            return
        self._turn("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        self._roll_back_update()

    def _roll_back_update(self) -> None:
        stack = self._stack
        with STATE_LOCK:
            stack.cancelled = False
            stack.blueprint = stack.previous or stack.blueprint
            for logical_id, original in stack.displaced.items():
                stack.obsolete.append(stack.resources[logical_id])
                stack.resources[logical_id] = original
            stack.displaced.clear()
        try:
            self._converge()
        except StepFailedError as failure:
            self._end("UPDATE_ROLLBACK_FAILED", update_failure(failure.logical_id))
            return
        self._turn("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self._clean_up("UPDATE_ROLLBACK_COMPLETE")

    def _clean_up(self, status: str) -> None:
        """Remove the resources that have left the stack. As in CloudFormation, a resource that resists stays behind."""
        stack = self._stack
        self._remove(stack.obsolete, retaining=RETAINING)
        with STATE_LOCK:
            stack.obsolete.clear()
            # An update that left a service alone, in that one's bake time, does not end the watch.
            if status == "UPDATE_COMPLETE":
                stack.before = stack.before or stack.previous
            stack.previous = None
        self._end(status)

    def _delete(self) -> None:
        stack = self._stack
        # A failed roll-back may have left replaced resources behind.
        everything = [*stack.obsolete, *stack.displaced.values(), *stack.resources.values()]
        failed = self._remove(everything, retaining=RETAINING, skip=stack.retained)
        if not failed:
            stack.deleted = utcnow()
        self._end(*_verdict("DELETE", failed))

    def _converge(self) -> None:
        """Make the stack's resources as the blueprint says, and set the others aside for removal."""
        stack = self._stack
        template = parse(stack.blueprint.body)
        needs = dependencies(template)
        with STATE_LOCK:
            scope = Scope(stack, template, stack.blueprint, self._exports())
            wanted = [name for name in dependency_order(template) if scope.includes(template["Resources"][name])]
        for logical_id in wanted:
            self._steps.apply(logical_id, template["Resources"][logical_id], needs[logical_id], scope)
        with STATE_LOCK:
            stack.outputs, stack.resolved = scope.outputs(), scope.published_values()
            stack.description = template.get("Description")
            self._set_aside(set(wanted))

    def _set_aside(self, wanted: set[str]) -> None:
        stack = self._stack
        for logical_id in [name for name in stack.resources if name not in wanted]:
            stack.obsolete.append(stack.resources.pop(logical_id))
        for resource in stack.displaced.values():
            resource.deletion_policy = resource.replace_policy
            stack.obsolete.append(resource)
        stack.displaced.clear()

    def _remove(
        self, resources: Iterable[StackResource], *, retaining: tuple[str, ...], skip: tuple[str, ...] = ()
    ) -> list[str]:
        failed = []
        for resource in deletion_order(list(resources)):
            retain = resource.deletion_policy in retaining or resource.logical_id in skip
            if not self._steps.remove(resource, retain=retain):
                failed.append(resource.logical_id)
        return failed

    def _turn(self, status: str, reason: str | None = None) -> None:
        with STATE_LOCK:
            self._stack.turn(status, reason)

    def _end(self, status: str, reason: str | None = None) -> None:
        with STATE_LOCK:
            self._stack.cancelled = False
            self._stack.skipped = ()
            self._stack.turn(status, reason)
            self._settled()


def update_failure(logical_id: str) -> str:
    """Return why an update rolls back: the words of CloudFormation for a resource that could not be changed."""
    return f"The following resource(s) failed to update: [{logical_id}]."


def deletion_order(resources: list[StackResource]) -> list[StackResource]:
    """Return the resources in an order in which each comes before the resources that it was made from."""
    by_name = {resource.logical_id: resource for resource in resources}
    order: list[StackResource] = []
    seen: set[str] = set()

    def visit(resource: StackResource) -> None:
        if resource.logical_id in seen:
            return
        seen.add(resource.logical_id)
        for other in resource.needs:
            if other in by_name:
                visit(by_name[other])
        order.append(by_name[resource.logical_id])

    for resource in resources:
        visit(resource)
    twins = [resource for resource in resources if by_name[resource.logical_id] is not resource]
    return [*order, *twins][::-1]


def _verdict(operation: str, failed: list[str]) -> tuple[str, str | None]:
    if failed:
        return f"{operation}_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]."
    return f"{operation}_COMPLETE", None
