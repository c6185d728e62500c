"""Does one step of a stack operation: makes, changes or removes one resource, waits, and adds events."""

from __future__ import annotations

import copy
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cortex_cdk.localcloud.cloudformation import name_conflicts, resource_lifecycle, schema
from cortex_cdk.localcloud.cloudformation.changes import difference
from cortex_cdk.localcloud.cloudformation.functions import Scope
from cortex_cdk.localcloud.cloudformation.resource import Place
from cortex_cdk.localcloud.cloudformation.stack import Stack, StackResource
from cortex_cdk.localcloud.state_lock import STATE_LOCK

POLL_INTERVAL = 0.05
STABILIZATION_TIMEOUT = 3 * 3600.0
"""Seconds for which CloudFormation waits for an ECS service (aws-cdk's documentation of the circuit breaker)."""
MISSING = re.compile(r"NotFound|NoSuch|DoesNotExist")
REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."

log = logging.getLogger("cortex.local.cloudformation")


class StepFailedError(Exception):
    """A resource could not be made or changed. The resource's event says why."""

    def __init__(self, logical_id: str) -> None:
        super().__init__(logical_id)
        self.logical_id = logical_id


class CancelledError(Exception):
    """Somebody cancelled the operation."""


class Steps:
    """The steps of the operations on one stack.

    Args:
        stack: The stack.
        moved: Is called after each step that changed something, so that the reconciler looks.
    """

    def __init__(self, stack: Stack, moved: Callable[[], None]) -> None:
        self._stack = stack
        self._moved = moved
        self._place = Place(stack.account, stack.region)

    def apply(self, logical_id: str, definition: Mapping[str, Any], needs: Sequence[str], scope: Scope) -> None:
        """Make one resource as the template says, and wait until it is stable.

        Raises:
            StepFailedError: The resource could not be made or changed.
            CancelledError: The operation was cancelled meanwhile.
        """
        with STATE_LOCK:
            if self._stack.cancelled:
                raise CancelledError
            current = self._stack.existing(logical_id)
            if current is not None and logical_id in self._stack.skipped:
                # Its properties stay unknown, so that the next update sets all of them.
                self._stack.note(current, "UPDATE_COMPLETE")
                return
            resource = self._start(logical_id, definition, current, scope)
            _describe(resource, definition, needs)
            scope.put(logical_id, resource.model)
        if resource.status.endswith("_IN_PROGRESS"):
            self._moved()
            self._wait_until_stable(resource)

    def recreate(
        self, logical_id: str, name: str, definition: Mapping[str, Any], needs: Sequence[str], scope: Scope
    ) -> None:
        """Make a resource again that the account has lost, without waiting until it is stable.

        Args:
            name: The name, given or generated, that the resource had.

        Raises:
            StepFailedError: The resource could not be made.
        """
        with STATE_LOCK:
            resource = StackResource(logical_id, definition["Type"], name)
            with self._failing(resource, "CREATE"):
                self._create(resource, scope.properties(definition), "CREATE", None)
            _describe(resource, definition, needs)
            scope.put(logical_id, resource.model)
            self._stack.note(resource, "CREATE_COMPLETE")

    def discard(self, resource: StackResource) -> None:
        """Remove a resource that ``recreate`` has made, if possible, without waiting until it is gone."""
        with STATE_LOCK:
            try:
                if resource.model is not None:
                    resource_lifecycle.delete(resource.model, self._order(resource, resource.properties or {}))
            except Exception as error:
                log.warning("%s of %s stays: %s", resource.logical_id, self._stack.name, reason_of(error))

    def remove(self, resource: StackResource, *, retain: bool) -> bool:
        """Remove one resource and wait until it is gone.

        Args:
            retain: Whether to leave the resource alone and only forget it.

        Returns:
            False if the resource could not be removed. The resource's event says why.
        """
        stack = self._stack
        if resource.model is None:
            return True
        if retain:
            with STATE_LOCK:
                stack.note(resource, "DELETE_SKIPPED")
                resource.model = None
            return True
        with STATE_LOCK:
            stack.note(resource, "DELETE_IN_PROGRESS")
            try:
                resource_lifecycle.delete(resource.model, self._order(resource, resource.properties or {}))
            except Exception as error:
                if not _says_missing(error):
                    stack.note(resource, "DELETE_FAILED", reason_of(error))
                    return False
        self._moved()
        deadline = time.monotonic() + STABILIZATION_TIMEOUT
        while not self._is_gone(resource):
            if time.monotonic() > deadline:
                with STATE_LOCK:
                    stack.note(resource, "DELETE_FAILED", "Resource did not stabilize in time.")
                return False
            time.sleep(POLL_INTERVAL)
        with STATE_LOCK:
            stack.note(resource, "DELETE_COMPLETE")
            resource.model = None
        return True

    def _start(
        self, logical_id: str, definition: Mapping[str, Any], current: StackResource | None, scope: Scope
    ) -> StackResource:
        kind = definition["Type"]
        subject = current or StackResource(logical_id, kind, name="")
        verb = "UPDATE" if current else "CREATE"
        with self._failing(subject, verb):
            properties = scope.properties(definition)
            if current is None:
                return self._create(StackResource(logical_id, kind, name=""), properties, verb, None)
            if current.type != kind:
                return self._replace(current, kind, properties)
            if current.properties is None:
                return self._update(current, properties)
            if not difference(current.properties, properties):
                return current
            if schema.replacement(kind, current.properties, properties):
                return self._replace(current, kind, properties)
            return self._update(current, properties)

    def _create(
        self, resource: StackResource, properties: dict[str, Any], verb: str, reason: str | None
    ) -> StackResource:
        stack = self._stack
        stack.resources[resource.logical_id] = resource
        stack.note(resource, f"{verb}_IN_PROGRESS", reason)
        with self._failing(resource, verb):
            wrong = schema.problem(resource.type, properties)
            if wrong:
                raise ValueError(wrong)
            name_conflicts.refuse_taken(resource.type, properties, self._place)
            resource.name = resource.name or resource_lifecycle.name_for(
                resource.type, properties, stack.name, resource.logical_id
            )
            resource.model = resource_lifecycle.create(self._order(resource, properties))
        resource.properties = properties
        stack.note(resource, f"{verb}_IN_PROGRESS", "Resource creation Initiated")
        return resource

    def _update(self, resource: StackResource, properties: dict[str, Any]) -> StackResource:
        self._stack.note(resource, "UPDATE_IN_PROGRESS")
        # Nobody knows the properties of a half-changed resource. So a roll-back must set them again.
        resource.properties = None
        with self._failing(resource, "UPDATE"):
            wrong = schema.problem(resource.type, properties)
            if wrong:
                raise ValueError(wrong)
            resource.model = resource_lifecycle.update(resource.model, self._order(resource, properties))
        resource.properties = properties
        return resource

    def _replace(self, current: StackResource, kind: str, properties: dict[str, Any]) -> StackResource:
        stack = self._stack
        name = schema.custom_name(kind, properties)
        if current.type == kind and name and name == schema.custom_name(kind, current.properties or {}):
            raise ValueError(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                f"Rename {name} and update the stack again."
            )
        # A roll-back returns to the first form of a resource that was replaced twice in this operation.
        if current.logical_id in stack.displaced:
            stack.obsolete.append(current)
        else:
            stack.displaced[current.logical_id] = current
        return self._create(StackResource(current.logical_id, kind, name=""), properties, "UPDATE", REPLACING)

    def _wait_until_stable(self, resource: StackResource) -> None:
        verb = resource.status.removesuffix("_IN_PROGRESS")
        deadline = time.monotonic() + STABILIZATION_TIMEOUT
        while True:
            with STATE_LOCK:
                verdict = self._verdict(resource)
                if verdict is True:
                    self._stack.note(resource, f"{verb}_COMPLETE")
                    return
                if self._stack.cancelled:
                    resource.properties = None
                    self._stack.note(resource, f"{verb}_FAILED", f"Resource {_NOUNS[verb]} cancelled")
                    raise CancelledError
                if time.monotonic() > deadline:
                    verdict = "Resource did not stabilize in time."
                if verdict:
                    resource.properties = None
                    self._stack.note(resource, f"{verb}_FAILED", str(verdict))
                    raise StepFailedError(resource.logical_id)
            time.sleep(POLL_INTERVAL)

    def _verdict(self, resource: StackResource) -> bool | str:
        try:
            return resource_lifecycle.stabilized(resource.model, self._place)
        except Exception as error:
            # Somebody may have removed the resource behind our back.
            return reason_of(error)

    def _is_gone(self, resource: StackResource) -> bool:
        with STATE_LOCK:
            try:
                return resource_lifecycle.gone(resource.model, self._place)
            except Exception as error:
                log.debug("%s cannot be looked at, so it is gone: %s", resource.logical_id, error)
                return True

    @contextmanager
    def _failing(self, resource: StackResource, verb: str) -> Iterator[None]:
        """Turn any exception of moto into a failed resource, once."""
        try:
            yield
        except StepFailedError:
            raise
        except Exception as error:
            self._stack.resources.setdefault(resource.logical_id, resource)
            self._stack.note(resource, f"{verb}_FAILED", reason_of(error))
            raise StepFailedError(resource.logical_id) from error

    def _tags(self, resource: StackResource) -> dict[str, str]:
        own = {"logical-id": resource.logical_id, "stack-id": self._stack.id, "stack-name": self._stack.name}
        return {**self._stack.blueprint.tags, **{f"aws:cloudformation:{key}": value for key, value in own.items()}}

    def _order(self, resource: StackResource, properties: dict[str, Any]) -> resource_lifecycle.Order:
        return resource_lifecycle.Order(
            logical_id=resource.logical_id,
            type=resource.type,
            name=resource.name,
            # A copy: some of moto's classes change their arguments, and ours are compared later.
            properties=copy.deepcopy(properties),
            stack_id=self._stack.id,
            place=replace(self._place, tags=self._tags(resource)),
        )


def _describe(resource: StackResource, definition: Mapping[str, Any], needs: Sequence[str]) -> None:
    """Keep the facts of a template's definition that the deletion of the resource will need."""
    resource.needs = list(needs)
    resource.deletion_policy = definition.get("DeletionPolicy", "Delete")
    resource.replace_policy = definition.get("UpdateReplacePolicy", "Delete")


def _says_missing(error: Exception) -> bool:
    """Return whether an API says that the resource is gone, so that it counts as deleted."""
    code = getattr(error, "error_type", None) or getattr(error, "code", "")
    return MISSING.search(str(code)) is not None


def reason_of(error: Exception) -> str:
    """Return an exception as the reason of an event. An exception that no AWS API would raise also goes to the log."""
    message = getattr(error, "message", None) or getattr(error, "description", None) or str(error)
    if not hasattr(error, "code") and not isinstance(error, (resource_lifecycle.UnsupportedError, ValueError)):
        log.error("unexpected failure", exc_info=error)
        return f"{type(error).__name__}: {message}"
    return str(message)


_NOUNS = {"CREATE": "creation", "UPDATE": "update"}
