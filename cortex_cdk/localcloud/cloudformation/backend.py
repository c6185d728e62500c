"""Keeps the stacks of one account and region, and checks calls of the API as AWS does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import Export
from moto.cloudformation.utils import generate_stack_id
from moto.core.utils import utcnow

from cortex_cdk.localcloud.cloudformation import change_sets, resource_lifecycle
from cortex_cdk.localcloud.cloudformation.functions import Scope
from cortex_cdk.localcloud.cloudformation.operation import Operation, update_failure
from cortex_cdk.localcloud.cloudformation.resource import Place
from cortex_cdk.localcloud.cloudformation.stack import Blueprint, ChangeSet, Stack, StackResource
from cortex_cdk.localcloud.cloudformation.template import parse

KEPT_DELETED = 50
"""How many deleted stacks can still be described by their id. CloudFormation keeps them for 90 days."""
UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "IMPORT_COMPLETE")
REVIEW = "REVIEW_IN_PROGRESS"

log = logging.getLogger("cortex.local.cloudformation")


class Hooks:
    """Tells the rest of the local cloud about operations. The daemon sets the hooks before the first request."""

    moved: Callable[[], None] = staticmethod(lambda: None)
    """An operation has done a step: the reconciler should look."""
    settled: Callable[[], None] = staticmethod(lambda: None)
    """An operation has ended: the state must be stored before anybody can see the end."""


class StackBackend(CloudFormationBackend):
    """moto's CloudFormation back end with stacks of our own kind."""

    stacks: dict[str, Stack]  # type: ignore[assignment]
    deleted_stacks: dict[str, Stack]  # type: ignore[assignment]

    @property
    def _url_module(self) -> Any:
        from moto.cloudformation import urls

        return urls

    def find(self, name_or_id: str) -> Stack:
        """Return a stack by name, or by id though it is deleted.

        Raises:
            ValidationError: There is no such stack.
        """
        found = self.stacks.get(name_or_id) or self.deleted_stacks.get(name_or_id) or self._named(name_or_id)
        if found is None:
            raise ValidationError(name_or_id)
        return found

    def all_stacks(self) -> list[Stack]:
        """Return the stacks that exist, then the deleted ones."""
        return [*self.stacks.values(), *self.deleted_stacks.values()]

    def exported(self) -> dict[str, Export]:
        """Return the exports of all stacks by name."""
        return {
            output.export: Export(stack.id, output.export, output.value)
            for stack in self.stacks.values()
            for output in stack.outputs
            if output.export
        }

    def create(self, name: str, blueprint: Blueprint, **settings: Any) -> Stack:
        """Start to create a stack.

        Args:
            settings: Attributes of the new stack.

        Raises:
            AlreadyExistsException: The name is taken.
            ValidationError: The template or its parameters are wrong.
        """
        if self._named(name):
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        stack = self._new(name, blueprint, "CREATE_IN_PROGRESS", **settings)
        Scope(stack, parse(blueprint.body), blueprint, self.exported())
        self.stacks[stack.id] = stack
        stack.turn("CREATE_IN_PROGRESS", "User Initiated")
        self._begin(stack)
        return stack

    def update(self, stack: Stack, blueprint: Blueprint, **settings: Any) -> None:
        """Start to update a stack.

        Raises:
            ValidationError: The stack's status allows no update, or nothing would change.
        """
        self._require_updatable(stack)
        change_set = change_sets.make(stack, "update", "UPDATE", blueprint, self.exported())
        if change_set.status == "FAILED":
            raise ValidationError(message=change_sets.NO_UPDATES)
        self._start_update(stack, blueprint, **settings)

    def delete(self, name_or_id: str, retain: Iterable[str]) -> None:
        """Start to delete a stack. A stack that does not exist is no error.

        Raises:
            ValidationError: The stack is protected, or an operation runs that cannot be stopped.
        """
        stack = self.stacks.get(name_or_id) or self._named(name_or_id)
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return
        if stack.protected:
            raise ValidationError(
                message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        if stack.status == "CREATE_IN_PROGRESS":
            stack.doomed = stack.cancelled = True
            return
        if stack.busy:
            raise ValidationError(message=f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
        stack.retained = tuple(retain)
        stack.turn("DELETE_IN_PROGRESS", "User Initiated")
        self._begin(stack)

    def cancel_update(self, stack: Stack) -> None:
        """Cancel the running update, which then rolls back.

        Raises:
            ValidationError: No update runs.
        """
        if stack.status != "UPDATE_IN_PROGRESS":
            raise ValidationError(
                message=f"CancelUpdateStack cannot be called from current stack status {stack.status}"
            )
        stack.cancelled = True

    def continue_rollback(self, stack: Stack, skip: Iterable[str] = ()) -> None:
        """Try again to roll an update back.

        Args:
            skip: Logical ids of resources that count as rolled back from now on.

        Raises:
            ValidationError: No rollback has failed, or a resource to skip is not one of those that failed.
        """
        if stack.status not in ("UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"):
            raise ValidationError(message=f"Stack:{stack.id} is in {stack.status} state and can not be rolled back.")
        skipped = list(skip)
        for logical_id in skipped:
            resource = stack.resources.get(logical_id)
            if resource is None or resource.status != "UPDATE_FAILED":
                raise ValidationError(
                    message=f"Resource [{logical_id}] is not in UPDATE_FAILED state and can not be skipped"
                )
        stack.skipped = tuple(skipped)
        stack.turn("UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        self._begin(stack)

    def create_change_set_of(self, stack_name: str, kind: str, name: str, blueprint: Blueprint) -> ChangeSet:
        """Compute a change set. For a new stack, make the empty stack that the change set belongs to.

        Args:
            kind: ``CREATE`` or ``UPDATE``.

        Raises:
            ValidationError: The stack's status allows no change set, or the template is wrong.
        """
        stack = self._named(stack_name) or self.stacks.get(stack_name)
        if kind == "CREATE":
            if stack is not None and stack.status != REVIEW:
                raise ValidationError(
                    message=f"Stack [{stack.name}] already exists and cannot be created again "
                    "with the changeSet [" + name + "]."
                )
            stack = stack or self._new(stack_name, replace(blueprint, body=""), REVIEW)
        elif stack is None:
            raise ValidationError(message=f"Stack [{stack_name}] does not exist")
        else:
            self._require_updatable(stack)
        if any(known.name == name for known in stack.change_sets.values()):
            raise AlreadyExistsException(f"ChangeSet {name} already exists")
        change_set = change_sets.make(stack, name, kind, blueprint, self.exported())
        if stack.id not in self.stacks:
            self.stacks[stack.id] = stack
            stack.turn(REVIEW, "User Initiated")
        stack.change_sets[change_set.id] = change_set
        return change_set

    def find_change_set(self, name_or_id: str, stack_name: str | None) -> tuple[Stack, ChangeSet]:
        """Return a change set by its id, or by its name and its stack.

        Raises:
            ServiceException: ``ChangeSetNotFound``.
        """
        for stack in self.stacks.values():
            for change_set in stack.change_sets.values():
                of_stack = stack_name in (stack.name, stack.id)
                if change_set.id == name_or_id or (of_stack and change_set.name == name_or_id):
                    return stack, change_set
        raise change_sets.ChangeSetNotFoundError(name_or_id)

    def execute(self, stack: Stack, change_set: ChangeSet, *, disable_rollback: bool) -> None:
        """Start the operation of a change set. All change sets of the stack are used up.

        Raises:
            ServiceException: ``InvalidChangeSetStatus`` if the change set cannot be executed.
        """
        if change_set.execution_status != "AVAILABLE":
            raise change_sets.InvalidChangeSetStatusError(change_set)
        on_failure = "DO_NOTHING" if disable_rollback else change_set.on_failure or "ROLLBACK"
        settings = {
            "on_failure": on_failure,
            "role_arn": change_set.role_arn,
            "capabilities": change_set.capabilities,
            "notification_arns": change_set.notification_arns,
        }
        if change_set.type == "UPDATE":
            self._require_updatable(stack)
            self._start_update(stack, change_set.blueprint, **settings)
            return
        _set(stack, blueprint=change_set.blueprint, **settings)
        stack.change_sets.clear()
        stack.turn("CREATE_IN_PROGRESS", "User Initiated")
        self._begin(stack)

    def resume(self) -> None:
        """Resume the operations that the end of the daemon interrupted, and let outputs follow a moved port."""
        for stack in list(self.stacks.values()):
            if stack.busy:
                self._begin(stack, resume=True)
            elif stack.outputs:
                blueprint = stack.blueprint
                stack.outputs = Scope(stack, parse(blueprint.body), blueprint, self.exported()).outputs()

    def undo_updates_that_fail(self) -> None:
        """Roll back the stacks whose last update has failed since its end, in the bake time of a service."""
        for stack in list(self.stacks.values()):
            if stack.before is None or stack.status not in UPDATABLE:
                continue
            verdicts = {name: self._proven(stack, resource) for name, resource in stack.resources.items()}
            failed = next((name for name, verdict in verdicts.items() if isinstance(verdict, str)), None)
            if failed is not None:
                resource = stack.resources[failed]
                resource.properties = None
                stack.note(resource, "UPDATE_FAILED", str(verdicts[failed]))
                _set(stack, previous=stack.before, before=None)
                stack.turn("UPDATE_ROLLBACK_IN_PROGRESS", update_failure(failed))
                self._begin(stack)
            elif all(verdicts.values()):
                stack.before = None

    def _proven(self, stack: Stack, resource: StackResource) -> bool | str:
        try:
            return resource_lifecycle.proven(resource.model, Place(stack.account, stack.region))
        except Exception as error:
            log.debug("%s cannot be looked at, so it is not watched: %s", resource.logical_id, error)
            return True

    def _start_update(self, stack: Stack, blueprint: Blueprint, **settings: Any) -> None:
        _set(stack, previous=stack.previous or stack.blueprint, blueprint=blueprint, updated=utcnow(), **settings)
        stack.change_sets.clear()
        stack.turn("UPDATE_IN_PROGRESS", "User Initiated")
        self._begin(stack)

    def _begin(self, stack: Stack, *, resume: bool = False) -> None:
        operation = Operation(stack, self.exported, Hooks.moved, lambda: self._settle(stack))
        work = operation.resume if resume else operation.run
        threading.Thread(target=work, name=f"stack {stack.name}", daemon=True).start()

    def _settle(self, stack: Stack) -> None:
        if stack.status == "DELETE_COMPLETE":
            self.stacks.pop(stack.id, None)
            self.deleted_stacks[stack.id] = stack
            for old in list(self.deleted_stacks)[:-KEPT_DELETED]:
                del self.deleted_stacks[old]
        Hooks.settled()

    def _named(self, name: str) -> Stack | None:
        return next((stack for stack in self.stacks.values() if stack.name == name), None)

    def _new(self, name: str, blueprint: Blueprint, status: str, **settings: Any) -> Stack:
        identity = generate_stack_id(name, self.region_name, self.account_id)
        return Stack(identity, name, self.account_id, self.region_name, blueprint, status, **settings)

    def _require_updatable(self, stack: Stack) -> None:
        if stack.status not in UPDATABLE:
            raise ValidationError(message=f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def _set(stack: Stack, **settings: Any) -> None:
    for name, value in settings.items():
        setattr(stack, name, value)
