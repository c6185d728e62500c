"""The predictor types, one module each: a new one is a new file here, with a ``PredictorType`` named ``TYPE``.

The folder is listed, so no list of types has to be edited. The program and the configuration's checks read the modules
at each start: a module imports the libraries that its client needs inside of ``make_client``.

May import: everything that predictors may; outside of ``make_client`` nothing but ``predictor_type``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from cortex_serving.errors import SpecError
from cortex_serving.predictors.predictor_type import PredictorType
from cortex_serving.spec import ApiSpec


@cache
def predictor_types() -> Mapping[str, PredictorType]:
    """Every predictor type by its name, in alphabetical order."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    types: list[PredictorType] = [module.TYPE for module in modules]
    return MappingProxyType({each.name: each for each in sorted(types, key=lambda each: each.name)})


def predictor_type(name: str) -> PredictorType:
    """The predictor type of that name.

    Raises:
        SpecError: There is none.
    """
    known = predictor_types()
    if name not in known:
        raise SpecError(f"predictor.type is {name!r}; known are {', '.join(known)}")
    return known[name]


def by_rules_of_type(spec: ApiSpec) -> ApiSpec:
    """Return a specification with its batching where the predictor's type does it: in ``predict``, or in the client.

    Raises:
        SpecError: There is no such type.
    """
    predictor = spec.predictor
    if predictor.batching is None or predictor.models is None or not predictor_type(predictor.type).batches_calls:
        return spec
    models = replace(predictor.models, batching=predictor.batching, callers=predictor.threads)
    return replace(spec, predictor=replace(predictor, batching=None, models=models))
