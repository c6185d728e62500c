"""Pickles moto's objects. Bodies of S3 objects go to files, and types that pickle does not know are reduced here."""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.s3.models import FakeKey
from moto.ssm.models import ParameterDict

from cortex_cdk.localcloud.daemon.storage.bodies import Bodies
from cortex_cdk.localcloud.services.ssm.public_images import PUBLIC_PARAMETERS

UNSTORED = ("_value_buffer", "lock")
"""Attributes of an S3 object that are not stored but made anew."""

Reduced = tuple[Any, ...]
MOVED = {
    "autoscaling.models": "services.application_autoscaling.models",
    "autoscaling.target_tracking": "services.application_autoscaling.target_tracking",
    "balancer.targets": "services.elbv2.targets",
    "balancer.tls": "services.elbv2.tls",
    "builds": "services.codebuild.backend",
    "ecs.backend": "services.ecs.backend",
    "ecs.service": "services.ecs.service",
    "ecs.task": "services.ecs.task",
    "instances.container_instance": "services.ecs.instances.container_instance",
    "instances.groups": "services.autoscaling.groups",
    "instances.placement": "services.ecs.instances.placement",
    "instances.resources": "services.ecs.instances.task_resources",
    "metrics.cloudwatch": "services.cloudwatch.backend",
    "metrics.embedded": "services.logs.backend",
    "metrics.store": "services.cloudwatch.store",
    "resources.applicationautoscaling": "services.application_autoscaling.resources",
    "resources.autoscaling": "services.autoscaling.resources",
    "resources.cloudwatch": "services.cloudwatch.resources",
    "resources.codebuild": "services.codebuild.resources",
    "resources.ec2": "services.ec2.resources.network",
    "resources.ecr": "services.ecr.resources",
    "resources.ecs": "services.ecs.resources",
    "resources.elbv2": "services.elbv2.resources",
    "resources.iam": "services.iam.resources",
    "resources.logs": "services.logs.resources",
    "resources.nat": "services.ec2.resources.nat",
    "resources.resource": "cloudformation.resource",
    "resources.s3": "services.s3.resources",
    "resources.security_groups": "services.ec2.resources.security_groups",
    "storage.pickling": "daemon.storage.pickling",
}
"""Modules of stored classes, by their names in format 2 (docs/decisions/0026). Goes with the next version of moto."""
OURS = "cortex_cdk.localcloud."
_NAMES: dict[int, tuple[str, str]] = {}
"""The names of registries that were looked for, by the registry's identity."""


class Pickler(pickle.Pickler):
    """A pickler for moto's back ends.

    Args:
        stream: Takes the pickle.
        bodies: Takes the bodies of S3 objects.

    Attributes:
        body_names: The names of the bodies of all pickled objects.
    """

    def __init__(self, stream: io.BytesIO, bodies: Bodies) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._bodies = bodies
        self._reducers: dict[type, Callable[[Any], Any] | None] = {}
        self.body_names: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        """Return how to make an object again that pickle cannot handle.

        pickle asks for each object but those of its own types, so that is the place to be quick in. A persistent id
        would be asked for with every string and number.
        """
        kind = type(value)
        if kind not in self._reducers:
            self._reducers[kind] = self._reducer_of(kind)
        reduce = self._reducers[kind]
        return NotImplemented if reduce is None else reduce(value)

    def _reducer_of(self, kind: type) -> Callable[[Any], Any] | None:
        if issubclass(kind, FakeKey):
            return self._reduce_object
        return next((reduce for base, reduce in REDUCERS.items() if issubclass(kind, base)), None)

    def _reduce_object(self, key: FakeKey) -> Reduced:
        name = self._bodies.name_of(key)
        self.body_names.add(name)
        state = {attribute: item for attribute, item in key.__dict__.items() if attribute not in UNSTORED}
        return _object, (type(key), name), state, None, None, _set_attributes


class Unpickler(pickle.Unpickler):
    """Reads what ``Pickler`` has written."""

    def __init__(self, stream: io.BytesIO, bodies: Bodies) -> None:
        super().__init__(stream)
        self._bodies = bodies

    def persistent_load(self, name: tuple[str, ...]) -> Any:
        """Return a registry, or the part of one that belongs to an account, as snapshots before 0.2 name them."""
        return part_of_registry(*name[1:]) if name[0] == "account" else registry(*name)

    def find_class(self, module: str, name: str) -> Any:
        """Find a class in the module where the class lives now, and bodies in this unpickler's folder."""
        ours = module.removeprefix(OURS)
        found = super().find_class(OURS + MOVED[ours] if ours in MOVED else module, name)
        return self._object if found is _object else found

    def _object(self, kind: type[FakeKey], body: str) -> Any:
        return _object(kind, body, self._bodies)


def registry_name(value: BackendDict[Any]) -> tuple[str, str]:
    """Return the module and the name of a registry of back ends, such as ``("moto.s3.models", "s3_backends")``."""
    # Registries are globals, which live as long as the process: the search through all modules is needed once for each.
    if id(value) not in _NAMES:
        _NAMES[id(value)] = _find_name(value)
    return _NAMES[id(value)]


def _find_name(value: BackendDict[Any]) -> tuple[str, str]:
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("moto.") and module_name.endswith(".models"):
            for name, item in vars(module).items():
                if item is value and name.endswith("_backends"):
                    return module_name, name
    raise pickle.PicklingError(f"moto's registry {value.service_name} is in no module")


def registries() -> list[BackendDict[Any]]:
    """Return moto's registries of back ends that are in use."""
    return list(BackendDict._instances)  # type: ignore[misc]


def registry(module: str, name: str) -> Any:
    """Return the registry of back ends of a name, as ``registry_name`` gives it."""
    return getattr(importlib.import_module(module), name)


def part_of_registry(module: str, name: str, account: str) -> Any:
    """Return the part of a registry that belongs to an account."""
    return registry(module, name)[account]


def _registry_of(value: AccountSpecificBackend[Any]) -> tuple[str, str]:
    for candidate in registries():
        if candidate.service_name == value.service_name:
            return registry_name(candidate)
    raise pickle.PicklingError(f"moto has no registry {value.service_name}")


def _object(kind: type[FakeKey], body: str, bodies: Bodies) -> Any:
    key: Any = kind.__new__(kind)
    key._value_buffer = bodies.get(body)
    key.lock = threading.Lock()
    return key


def _set_attributes(key: FakeKey, state: dict[str, Any]) -> None:
    # FakeKey's own __setstate__ expects the body in the state.
    key.__dict__.update(state)


def _reduce_parameters(parameters: ParameterDict) -> Reduced:
    """Reduce parameters without AWS's public ones. moto loads those, thousands, as soon as one is asked for."""
    own = {name: item for name, item in parameters.items() if not name.startswith(PUBLIC_PARAMETERS)}
    loaded = {name: False for name in vars(parameters) if name.endswith("_loaded")}
    return _subclass, (ParameterDict, list), {**vars(parameters), **loaded}, None, iter(own.items())


def _subclass(kind: type, factory: Any) -> Any:
    # The constructors of moto's subclasses take other arguments than that of defaultdict.
    made: defaultdict[Any, Any] = defaultdict.__new__(kind)
    defaultdict.__init__(made, factory)
    return made


def _pem(key: Any) -> bytes:
    private = serialization.PrivateFormat.PKCS8
    pem: bytes = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    return pem


def _private_key(pem: bytes) -> Any:
    return serialization.load_pem_private_key(pem, password=None)


def _certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _reduce_function(function: FunctionType) -> Any:
    # pickle finds a function by its name. A lambda has none.
    return (_lambda, _place_of(function)) if "<lambda>" in function.__qualname__ else NotImplemented


def _reduce_subclass(value: defaultdict[Any, Any]) -> Any:
    if type(value) is defaultdict:
        return NotImplemented
    return _subclass, (type(value), value.default_factory), value.__dict__, None, iter(value.items())


def _place_of(function: FunctionType) -> tuple[str, str, int]:
    """Return where a lambda is written: module, enclosing function, and the lambda's number in that function."""
    outer = function.__qualname__.split(".<locals>")[0]
    codes = _lambdas(_enclosing(function.__module__, outer))
    if function.__closure__ or function.__code__ not in codes:
        raise pickle.PicklingError(f"cannot store {function.__module__}.{function.__qualname__}")
    return function.__module__, outer, codes.index(function.__code__)


def _lambda(module: str, outer: str, index: int) -> Callable[..., Any]:
    code = _lambdas(_enclosing(module, outer))[index]
    return FunctionType(code, vars(importlib.import_module(module)))


def _enclosing(module: str, outer: str) -> FunctionType:
    found: Any = importlib.import_module(module)
    for part in outer.split("."):
        found = getattr(found, part)
    function: FunctionType = found
    return function


def _lambdas(function: FunctionType) -> list[CodeType]:
    constants = function.__code__.co_consts
    return [code for code in constants if isinstance(code, CodeType) and code.co_name == "<lambda>"]


REDUCERS: dict[type, Callable[[Any], Any]] = {
    # Registries are globals: a snapshot names them instead of copying them.
    BackendDict: lambda known: (registry, registry_name(known)),
    AccountSpecificBackend: lambda part: (part_of_registry, (*_registry_of(part), part.account_id)),
    type(threading.Lock()): lambda lock: (threading.Lock, ()),
    type(threading.RLock()): lambda lock: (threading.RLock, ()),
    FunctionType: _reduce_function,
    ParameterDict: _reduce_parameters,
    defaultdict: _reduce_subclass,
    rsa.RSAPrivateKey: lambda key: (_private_key, (_pem(key),)),
    ec.EllipticCurvePrivateKey: lambda key: (_private_key, (_pem(key),)),
    x509.Certificate: lambda certificate: (_certificate, (certificate.public_bytes(serialization.Encoding.PEM),)),
}
"""How to reduce types that pickle does not know. The first type that fits counts."""
