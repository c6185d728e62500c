"""CloudFormation as AWS runs it, on top of moto's parser and moto's resources.

What flows through here, in order:

1. ``responses`` turns a request of the API into a call of ``backend``, which checks it against the stack's
   state; ``answers`` turns stacks back into what the API shows.
2. ``template`` reads the text and orders the resources; ``scope`` resolves functions with moto's parser.
3. ``changes`` compares resolved properties with the stack's, ``schema`` says what that replaces, and
   ``change_sets`` makes a change set of it.
4. ``operation`` runs in a thread: it walks the template through ``steps``, one resource at a time, rolls back
   on failure, and removes last what is left over.
5. ``types`` makes, changes and removes one resource, with a class of ``localcloud.resources`` or of moto.
"""

from __future__ import annotations

from collections.abc import Callable


def install(moved: Callable[[], None], settled: Callable[[], None]) -> None:
    """Let moto's server use this CloudFormation; to be called before the first request.

    Args:
        moved: Called after every step of a stack operation.
        settled: Called with the lock held when an operation has ended, before its end can be seen.
    """
    from moto.cloudformation import urls
    from moto.cloudformation.models import cloudformation_backends

    from cortex_cdk.localcloud.cloudformation.backend import Hooks, StackBackend
    from cortex_cdk.localcloud.cloudformation.responses import StackResponse

    Hooks.moved, Hooks.settled = moved, settled
    cloudformation_backends.backend = StackBackend
    urls.url_paths["{0}/$"] = StackResponse.dispatch


def resume() -> None:
    """Take up the stack operations that the end of the last daemon interrupted."""
    from moto.cloudformation.models import cloudformation_backends

    from cortex_cdk.localcloud.cloudformation.backend import StackBackend

    for _, _, backend in list(cloudformation_backends.iter_backends()):
        if isinstance(backend, StackBackend):
            backend.resume()
