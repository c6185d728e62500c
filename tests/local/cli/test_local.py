"""``cortex local``: what it says of ports, and what other commands say when it is gone."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import CORTEX, Cortex
from tests.local.cli.mistakes import CONFIG, PREDICTOR, predictor, write_files

FILES = {"cortex.yaml": CONFIG, "predictor.py": PREDICTOR}


@pytest.fixture(scope="module")
def project(cortex: Cortex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is deployed."""
    folder = tmp_path_factory.mktemp("project")
    write_files(folder, FILES)
    cortex.ok("deploy", str(folder))
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_scripts_read_where_it_runs(cortex: Cortex, project: Path) -> None:
    up, status = cortex.json("local", "up"), cortex.json("local", "status")
    assert up == {**status, "apis": [{"name": "text", "status": "live"}]}
    assert (status["running"], status["pid"], status["aws_url"]) == (True, cortex.daemon().pid, cortex.control_url)
    assert cortex.json("get", "text")["endpoint"] == f"{status['apis_url']}/text"


@pytest.mark.parametrize("command", [("get",), ("local", "up"), ("local", "status")])
def test_ports_that_have_no_effect_are_told_once(cortex: Cortex, project: Path, command: tuple[str, ...]) -> None:
    asked, taken = str(free_port()), cortex.control_url.rpartition(":")[2]
    done = cortex.run(*command, environ={"CORTEX_LOCAL_PORT": asked})
    assert done.returncode == 0
    assert done.stderr == (
        f"warning: without effect while the local cloud runs: CORTEX_LOCAL_PORT={asked} (it has {taken}); "
        "change it with: cortex local down, then cortex local up\n"
    )
    assert cortex.run(*command, environ={"CORTEX_LOCAL_PORT": taken}).stderr == ""


def test_a_speed_that_has_no_effect_is_told(cortex: Cortex, project: Path) -> None:
    done = cortex.run("local", "status", environ={"CORTEX_LOCAL_SPEED": "2.5"})
    told = "warning: without effect while the local cloud runs: CORTEX_LOCAL_SPEED=2.5 (it has "
    assert (done.returncode, done.stderr[: len(told)]) == (0, told)


@pytest.mark.parametrize(("variable", "line"), [("CORTEX_LOCAL_PORT", "AWS API:"), ("CORTEX_LOCAL_HTTP_PORT", "APIs:")])
def test_whose_local_cloud_has_the_port_is_told(
    cortex: Cortex, project: Path, tmp_path: Path, variable: str, line: str
) -> None:
    told = next(words for words in cortex.ok("local", "status").splitlines() if words.startswith(line))
    port = told.rpartition(":")[2]
    other = Cortex(tmp_path / "home")
    done = other.run("local", "up", environ={variable: port})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: Port {port} on 127.0.0.1 is in use by the local cloud of {cortex.home}/local "
        f"(process {cortex.daemon().pid}), so this one cannot start.\n"
        f"hint: Stop the other one with: CORTEX_HOME={cortex.home} cortex local down. Or choose another port: "
        f"{variable}=<port> (0 picks a free one).\n"
    )
    assert other.ok("local", "status").startswith("the local cloud is not running")


def test_what_was_done_is_told_to_scripts(cortex: Cortex, project: Path) -> None:
    assert cortex.json("refresh", "text") == {"name": "text", "message": "updating text"}
    deleted = {"name": "text", "kind": "RealtimeAPI", "message": "deleted text"}
    assert cortex.json("delete", "text", "--yes") == deleted
    done = cortex.run("deploy", str(project), "-o", "json")
    (applied,) = json.loads(done.stdout)
    assert (applied["name"], applied["changed"], applied["error"]) == ("text", True, None)


def test_a_deployment_says_that_the_local_cloud_was_stopped(cortex: Cortex, tmp_path: Path) -> None:
    write_files(tmp_path, {**FILES, **predictor("        pass\n", "        import time\n        time.sleep(600)\n")})
    deploy = subprocess.Popen(
        [CORTEX, "deploy", str(tmp_path)], env=cortex.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert deploy.stderr
    next(line for line in deploy.stderr if line.startswith("text: "))
    assert cortex.json("local", "down") == {"stopped": True}
    _, told = deploy.communicate(timeout=120)
    assert deploy.returncode == 1
    assert told.endswith(
        "error: the local cloud was stopped\nhint: start it with cortex local up, and run this command again\n"
    )


@contextmanager
def _nobody_at(url: str) -> Iterator[None]:
    """Keep a port from the local clouds of other tests. Connections to it are refused."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", urlsplit(url).port or 0))
        yield


def test_an_endpoint_url_from_before_a_move_is_recognised(cortex: Cortex, project: Path) -> None:
    cortex.ok("local", "up")
    before = cortex.control_url
    cortex.ok("env", "configure", "same", "--cluster", "local", "--endpoint-url", before)
    keys = {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    assert cortex.run("get", "text", "--env", "same", environ=keys).returncode == 0
    cortex.ok("local", "down")
    with _nobody_at(before):
        stopped = cortex.run("get", "text", "--env", "same", environ=keys)
        assert stopped.stderr.startswith("error: the local cloud was stopped\n")
        port = str(free_port())
        assert cortex.run("local", "up", environ={"CORTEX_LOCAL_PORT": port}).returncode == 0
        moved = cortex.run("get", "text", "--env", "same", environ=keys)
    assert (moved.returncode, moved.stdout) == (1, "")
    now = f"http://127.0.0.1:{port}"
    assert moved.stderr == (
        f"error: nobody answers at {before}/, the endpoint of environment 'same': the local cloud is at {now}\n"
        f"hint: set it with: cortex env configure same --endpoint-url {now} (CORTEX_LOCAL_PORT keeps it where it is)\n"
    )
    cortex.ok("env", "configure", "same", "--endpoint-url", now)
    assert cortex.run("get", "text", "--env", "same", environ=keys).returncode == 0
