"""What the types of predictors bring can be installed on every machine."""

from __future__ import annotations

import pytest
from cortex_serving.predictors.predictor_type import PICKLES, Runtime
from cortex_serving.predictors.types import predictor_types
from packaging.requirements import Requirement

RUNTIMES = {runtime.module: runtime for kind in predictor_types().values() for runtime in kind.runtimes}
RUNTIMES[PICKLES.module] = PICKLES
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")]


@pytest.mark.parametrize("machine", MACHINES, ids=" ".join)
@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=lambda runtime: runtime.module)
def test_one_requirement_brings_the_module(runtime: Runtime, gpu: bool, machine: tuple[str, str]) -> None:
    environment = dict(zip(("sys_platform", "platform_machine"), machine, strict=True))
    wanted = [Requirement(line) for line in runtime.lines(gpu=gpu)]
    assert len([one for one in wanted if one.marker is None or one.marker.evaluate(environment)]) == 1
