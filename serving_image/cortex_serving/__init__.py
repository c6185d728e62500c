"""The serving program: a Predictor class behind HTTP, inside one task.

What happens, in order:

1. ``cli`` reads the command line or the container's environment (``settings``, ``spec``).
2. ``replica.supervisor`` opens the listening socket, starts worker processes, fetches the project (``project``) and
   tells the workers to load it.
3. ``replica.worker`` serves HTTP from its first moment (``server``), while a thread builds the predictor
   (``replica.startup``).
4. A request goes through ``server.connection`` (bytes to a request), ``scheduling.admission`` (in or not, on which
   thread), ``api.app`` (Falcon), ``payloads`` (body to payload), ``predictors.invoke`` and ``results`` (value to
   response), and back through ``server.connection``.
5. Everything that is logged goes up a pipe to the supervisor, whose ``logs.pipeline`` writes it out and ships it.
6. ``shared_state`` is the few bytes of memory that all processes share: states, requests in flight.

It imports nothing from the rest of the product. A predictor may import ``Response`` and ``UploadFile`` from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cortex_serving.payloads.forms import UploadFile
    from cortex_serving.results.render import Response

__all__ = ["Response", "UploadFile"]


def __getattr__(name: str) -> Any:
    """Import on first use: the supervisor imports this package too, and needs no Falcon."""
    if name == "Response":
        from cortex_serving.results.render import Response

        return Response
    if name == "UploadFile":
        from cortex_serving.payloads.forms import UploadFile

        return UploadFile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
