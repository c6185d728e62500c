"""The stack engine: CloudFormation as AWS runs it, with moto's parser and moto's resources.

A request passes these modules in order; read ``operation`` first:

1. ``responses`` turns a request of the API into a call of ``backend``, which checks the call against the stack's state.
   ``descriptions`` turns stacks into the form in which the API shows them.
2. ``template`` reads the text and orders the resources. ``functions`` resolves ``Ref``, ``Fn::GetAtt`` and the like.
3. ``changes`` compares resolved properties with those of the stack, ``schema`` tells which changes replace a resource,
   and ``change_sets`` makes a change set. ``name_conflicts`` finds names that are taken.
4. ``operation`` runs in a thread of its own. The operation walks the template through ``steps``, one resource at a
time,
   rolls back on failure, and removes left-over resources last. ``recreation`` makes a stack again that was lost.
5. ``resource_lifecycle`` makes, changes and removes one resource, by a class of ``localcloud.services`` or of moto. The
   base class of ours is in ``resource``; ``localcloud.services`` tells how to add a resource type.

May import: nothing of ``services`` or ``daemon``.
"""

from __future__ import annotations

from collections.abc import Callable


def install(moved: Callable[[], None], settled: Callable[[], None]) -> None:
    """Let moto's server use this CloudFormation. Call this before the first request.

    Args:
        moved: Is called after each step of a stack operation.
        settled: Is called with the lock held when an operation has ended, before anybody can see the end.
    """
    from moto.cloudformation import urls
    from moto.cloudformation.models import cloudformation_backends

    from cortex_cdk.localcloud.cloudformation.backend import Hooks, StackBackend
    from cortex_cdk.localcloud.cloudformation.responses import StackResponse

    Hooks.moved, Hooks.settled = moved, settled
    cloudformation_backends.backend = StackBackend
    urls.url_paths["{0}/$"] = StackResponse.dispatch


def undo_updates_that_fail() -> None:
    """Roll back the stacks whose last update has failed since its end."""
    from moto.cloudformation.models import cloudformation_backends

    from cortex_cdk.localcloud.cloudformation.backend import StackBackend
    from cortex_cdk.localcloud.state_lock import STATE_LOCK

    with STATE_LOCK:
        for _, _, backend in list(cloudformation_backends.iter_backends()):
            if isinstance(backend, StackBackend):
                backend.undo_updates_that_fail()


def resume() -> None:
    """Resume the stack operations that the end of the last daemon interrupted."""
    from moto.cloudformation.models import cloudformation_backends

    from cortex_cdk.localcloud.cloudformation.backend import StackBackend

    for _, _, backend in list(cloudformation_backends.iter_backends()):
        if isinstance(backend, StackBackend):
            backend.resume()
