"""From a task definition to what is launched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.localcloud.containers.container_spec import container_port, gpus_wanted, inherited, plan
from cortex_cdk.localcloud.containers.launch import CannotStartError, Launch, OutputLimits
from cortex_cdk.localcloud.services.elbv2.health import status_codes

CONTAINER: dict[str, Any] = {
    "name": "api",
    "image": "x",
    "command": ["cortex-serve"],
    "memory": 512,
    "stopTimeout": 60,
    "portMappings": [{"containerPort": 8888}],
    "environment": [{"name": "CORTEX_LISTEN", "value": "0.0.0.0:8888"}, {"name": "KEY", "value": "1"}],
    "resourceRequirements": [{"type": "GPU", "value": "2"}],
    "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "5m", "max-file": "3"}},
}


def planned(*containers: dict[str, Any], overrides: dict[str, Any] | None = None) -> Launch:
    return plan(
        "t1",
        containers,
        binaries=Path("/env/bin"),
        default_command=("serve",),
        port=20000,
        control_port=4566,
        gpus=("0", "1"),
        credentials={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:4566/v2/credentials/t1"},
        secrets={"TOKEN": "hidden"},
        overrides=overrides or {},
    )


def test_a_container_becomes_a_process() -> None:
    launch = planned(CONTAINER)

    assert launch.command == ("cortex-serve",)
    assert launch.environment["CORTEX_LISTEN"] == "127.0.0.1:20000"
    assert launch.environment["PATH"].split(os.pathsep)[0] == "/env/bin"
    assert launch.environment["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert launch.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:4566/v2/credentials/t1"
    assert "AWS_ACCESS_KEY_ID" not in launch.environment
    assert launch.environment["TOKEN"] == "hidden"
    assert "hidden" not in repr(launch)
    assert (launch.memory_limit, launch.stop_timeout) == (512 * 1024 * 1024, 60.0)
    assert launch.output == OutputLimits(max_bytes=5 * 1024 * 1024, max_files=3)
    assert (container_port(CONTAINER), gpus_wanted(CONTAINER)) == (8888, 2)


def test_defaults() -> None:
    launch = planned({"name": "api", "image": "x"})

    assert (launch.command, launch.memory_limit, launch.stop_timeout) == (("serve",), None, 30.0)
    assert launch.output == OutputLimits()
    assert (container_port({}), gpus_wanted({})) == (None, 0)


def test_entry_point_and_overrides() -> None:
    container = {**CONTAINER, "entryPoint": ["sh", "-c"]}
    change = {"name": "api", "command": ["true"], "environment": [{"name": "KEY", "value": "2"}]}

    launch = planned(container, overrides={"containerOverrides": [change]})

    assert launch.command == ("sh", "-c", "true")
    assert launch.environment["KEY"] == "2"


def test_only_one_container() -> None:
    with pytest.raises(CannotStartError, match="one container"):
        planned(CONTAINER, CONTAINER)


def test_little_is_inherited() -> None:
    daemon = {"LC_ALL": "C", "HTTPS_PROXY": "p", "no_proxy": "q", "AWS_PROFILE": "x", "PYTHONPATH": "y", "HOME": "z"}

    assert inherited(daemon) == {"LC_ALL": "C", "HTTPS_PROXY": "p", "no_proxy": "q"}


def test_status_codes() -> None:
    assert status_codes("200,301-303") == {200, 301, 302, 303}
