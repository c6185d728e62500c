"""What a predictor type is: the data that the serving program and the checks of ``cortex deploy`` follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cortex_serving.models.library import OpenLibrary


@dataclass(frozen=True)
class Method:
    """A method of a predictor class.

    Attributes:
        name: Its name.
        allowed: Arguments that it may take besides ``self``; each is passed by name if it is taken.
        needed: Those that it must take.
        required: Whether the class must have the method.
        may_yield: Whether it may be a generator.
    """

    name: str
    allowed: tuple[str, ...]
    needed: tuple[str, ...] = ()
    required: bool = True
    may_yield: bool = False

    @property
    def example(self) -> str:
        """How the method may be defined, such as ``predict(self, payload)``."""
        return f"{self.name}({', '.join(('self', *(self.needed or self.allowed[:1])))})"


PREDICT = Method("predict", ("payload", "query_params", "headers", "batch_id"), may_yield=True)
HANDLER = "Handler"
"""The class of every type in Cortex 0.34 and 0.35; its ``handle_post`` is ``predict``."""
HANDLE_POST = Method("handle_post", ("payload", "query_params", "headers"), may_yield=True)
HANDLE_OTHERS = ("handle_get", "handle_put", "handle_patch", "handle_delete")
"""Methods of a ``Handler`` that are not called here: GET describes the API."""
POST_PREDICT = Method("post_predict", ("response", "payload", "query_params", "headers"), required=False)


class Client(Protocol):
    """What every client has besides its methods for predictors."""

    def find(self) -> None:
        """Find the models: from here on they can be asked for, as a predictor's ``__init__`` may do."""

    def start(self) -> None:
        """Load the models that are loaded at the start, and begin to follow changes."""

    def metadata(self) -> dict[str, Any]:
        """Models and their versions, for the answer to GET on the API."""


@dataclass(frozen=True)
class Runtime:
    """A package that replicas need besides what the serving program and the project install.

    Attributes:
        module: What is imported. An environment that has this module, from whichever package, lacks nothing.
        requirements: Lines of a requirements file that bring the module.
        gpu_requirements: The same for replicas with GPUs; None where they need nothing else.
    """

    module: str
    requirements: tuple[str, ...]
    gpu_requirements: tuple[str, ...] | None = None

    def lines(self, *, gpu: bool) -> tuple[str, ...]:
        """The lines of a requirements file for replicas with or without GPUs."""
        return self.gpu_requirements if gpu and self.gpu_requirements else self.requirements


PICKLES = Runtime("dill", ("dill>=0.3.8",))
"""What loads a pickled predictor."""


@dataclass(frozen=True)
class PredictorType:
    """One value of ``predictor.type``, with the rules of Cortex for its class (cortex.md 1.1).

    Attributes:
        name: The value.
        class_name: The exact name that the predictor's class must have.
        client_argument: Argument of ``__init__`` that takes the client; passed where models are configured.
        make_client: Makes the client, given how to open the library of the configured models, and the predictor, whose
            ``__init__`` has not run yet. Imports its libraries inside of the function.
        needs_models: Whether ``predictor.model_path`` or ``predictor.models`` must be given.
        model_methods: Further methods that the class must have where models are configured.
        own_fields: Names of fields of the ``predictor`` section, or below it, that only such types know.
        handler_argument: The name of this argument in a class ``Handler``; None if it is the same.
        on_inferentia: Whether it runs on AWS Inferentia.
        runtimes: What its client imports. Images get what the project does not install itself.
        batches_calls: Whether ``server_side_batching`` is the client's work: ``predict`` then gets one payload, and
            concurrent calls of the client run the model together.
    """

    name: str
    class_name: str
    client_argument: str
    make_client: Callable[[OpenLibrary, Any], Client]
    needs_models: bool = True
    model_methods: tuple[Method, ...] = ()
    own_fields: frozenset[str] = frozenset()
    handler_argument: str | None = None
    on_inferentia: bool = True
    runtimes: tuple[Runtime, ...] = ()
    batches_calls: bool = False

    @property
    def title(self) -> str:
        """The type's name for people, such as ``TensorFlow``."""
        return self.class_name.removesuffix("Predictor")

    def client_name(self, *, handler: bool) -> str:
        """The argument of ``__init__`` that takes the client, in a class ``Handler`` or the type's own."""
        return (self.handler_argument if handler else None) or self.client_argument

    def methods(self, *, with_models: bool, handler: bool = False) -> tuple[Method, ...]:
        """The methods that the class may or must have.

        Args:
            with_models: Whether models are configured.
            handler: Whether the class is a ``Handler``.
        """
        argument = self.client_name(handler=handler)
        init = Method(
            "__init__",
            allowed=("config", "job_spec", argument),
            needed=("config", argument) if with_models or self.needs_models else ("config",),
        )
        calls = (HANDLE_POST,) if handler else (PREDICT, POST_PREDICT)
        return (init, *calls, *(self.model_methods if with_models else ()))
