"""The images, built by a real Docker engine with the commands of the builder, and run as the task definition says.

``make test-image`` runs this, ``make test`` does not: it needs root or an engine, and minutes.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from cortex_stacks.constructs.image_builder import BUILD_SPEC

from cortex_cdk.deploy.build_log import BuildLog, failure
from cortex_cdk.deploy.images import BuildContext, Flavour, build_context
from cortex_cdk.project.archive import collect
from cortex_cdk.project.dependencies import read_dependencies
from tests.conftest import ROOT, Cortex
from tests.image import bases
from tests.image.engine import Engine, running
from tests.image.relay import relayed

FOLDER = ROOT / ".engine"
IRIS = ROOT / "examples" / "iris-classifier"
MIB = 2**20
START_SECONDS = 60.0


@dataclass(frozen=True)
class Built:
    """One run of the builder's commands.

    Attributes:
        status: Exit status of the first that failed, or 0.
        log: What they said.
        seconds: How long they took.
    """

    status: int
    log: str
    seconds: float


class Builder:
    """Does what CodeBuild does: runs the commands of the project's build specification beside a build context."""

    def __init__(self, engine: Engine, registry: str, folder: Path) -> None:
        self.engine = engine
        self.registry = registry
        self._folder = folder
        programs = folder / "bin"
        programs.mkdir()
        (programs / "aws").write_text("#!/bin/sh\necho password\n")  # AWS, at the edge of the world
        (programs / "aws").chmod(0o755)
        self._programs = programs

    def build(self, context: BuildContext, tag: str, *, options: str = "", registry: str | None = None) -> Built:
        """Build and push ``tag`` of the repository ``cortex``."""
        folder = self._folder / tag
        for name, file in context.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        dockerfile = folder / "Dockerfile"
        dockerfile.write_text(bases.provide(self.engine, dockerfile.read_text(), FOLDER))
        environ = {
            **self.engine.environ,
            **BUILD_SPEC["env"]["variables"],
            "PATH": f"{self._programs}{os.pathsep}{self.engine.environ['PATH']}",
            "IMAGE_REPOSITORY": f"{registry or self.registry}/cortex",
            "IMAGE_TAG": tag,
            "BUILD_OPTIONS": f"--network host {options}",
        }
        commands = BUILD_SPEC["phases"]["build"]["commands"]
        began, log = time.monotonic(), ""
        for command in commands:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=600,
            )
            log += done.stdout
            if done.returncode:
                return Built(done.returncode, log, time.monotonic() - began)
        return Built(0, log, time.monotonic() - began)

    def layers(self, tag: str) -> dict[str, int]:
        """Compressed size in bytes of each layer that the registry has of an image, by digest, the lowest first."""
        kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        url = f"http://{self.registry}/v2/cortex/manifests/{tag}"
        manifest = requests.get(url, headers={"Accept": kinds}, timeout=30).json()
        return {layer["digest"]: layer["size"] for layer in manifest["layers"]}

    def image(self, tag: str) -> str:
        """The reference of what was pushed."""
        return f"{self.registry}/cortex:{tag}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    FOLDER.mkdir(exist_ok=True)
    with running(FOLDER) as engine:
        print(f"\nDocker engine {engine.docker('version', '--format', '{{.Server.Version}}')}")
        yield engine


@pytest.fixture(scope="module")
def registry(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry on this machine."""
    program = shutil.which("docker-registry", path=engine.environ["PATH"])
    assert program, "docker-registry is missing: apt-get install docker-registry"
    folder, address = tmp_path_factory.mktemp("registry"), f"127.0.0.1:{free_port()}"
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}}
    (folder / "config.yml").write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}}))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        wait_for(f"http://{address}/v2/", "the registry")
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def builder(engine: Engine, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(engine, registry, tmp_path_factory.mktemp("builder"))


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def built(builder: Builder, request: pytest.FixtureRequest) -> tuple[str, Built]:
    """The tag of an image of the iris example, and how it was built."""
    return request.param, builder.build(iris_context(gpu=request.param == "gpu"), request.param)


@pytest.fixture(scope="module")
def cpu(builder: Builder) -> str:
    """The CPU image; it is there already where the tests run in order."""
    if not builder.engine.docker("images", "--quiet", builder.image("cpu")):
        assert builder.build(iris_context(), "cpu").status == 0
    return builder.image("cpu")


def iris_context(*, gpu: bool = False, changed: str | None = None) -> BuildContext:
    """The build context of the iris example, perhaps with another serving program."""
    context = build_context(read_dependencies(collect(IRIS, IRIS / "cortex.yaml")), Flavour(gpu))
    if changed is None:
        return context
    file = context.files[changed]
    again = type(file)(file.content + b"\n# changed\n", file.executable)
    return BuildContext({**context.files, changed: again}, context.tag)


def wait_for(url: str, what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if requests.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not answer at {url}")


def test_the_builder_makes_and_pushes_an_image(built: tuple[str, Built], builder: Builder) -> None:
    tag, result = built
    assert result.status == 0, result.log
    steps = re.findall(r"==> (.*)$", result.log, re.MULTILINE)
    assert steps == [
        "Python",
        "requirements.txt",
        "dependencies of the serving program",
        "the serving program",
        "installed",
    ]
    layers = builder.layers(tag)
    sizes = [f"{size / MIB:.1f}" for size in layers.values()]
    whole = int(builder.engine.docker("inspect", "--format", "{{.Size}}", builder.image(tag)))
    print(
        f"\n{tag}: {whole / MIB:.0f} MiB, {sum(layers.values()) / MIB:.0f} MiB compressed (layers: {', '.join(sizes)}),"
        f" built and pushed in {result.seconds:.0f} s"
    )


def test_all_that_replicas_import_is_compiled(built: tuple[str, Built], builder: Builder) -> None:
    code = (
        "import sysconfig; from importlib.util import cache_from_source as cached; from pathlib import Path\n"
        "folders = [Path(sysconfig.get_path(name)) for name in ('stdlib', 'purelib')]\n"
        "left = {'test', 'tests', 'idlelib', 'lib2to3', 'dist-packages', 'pip', 'setuptools', 'wheel'}\n"
        "files = [path for folder in folders for path in folder.rglob('*.py') if not left & set(path.parts)]\n"
        "print(len(files), *(path for path in files if not Path(cached(str(path))).exists()))"
    )
    found = builder.engine.docker("run", "--rm", "--network", "none", builder.image(built[0]), "python", "-c", code)
    files, *without = found.split()
    assert int(files) > 2000
    assert without == []


def test_replicas_may_write_their_project_and_no_more(cpu: str, engine: Engine) -> None:
    script = (
        "id -u; touch /mnt/project/a /tmp/a && echo written; touch /opt/cortex/a /etc/a 2>/dev/null || echo refused"
    )
    assert engine.docker("run", "--rm", "--network", "none", cpu, "sh", "-c", script).split() == [
        "10001",
        "written",
        "refused",
    ]


CPU_TIME = """
usage=/sys/fs/cgroup/cpuacct/cpuacct.usage
if [ -e $usage ]; then echo $(($(cat $usage) / 1000000))
else echo $(($(sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat) / 1000)); fi
"""
"""What a container has used, in milliseconds, with version 1 or 2 of control groups."""


def as_options(container: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """The options of ``docker run`` that the ECS agent would give for a container definition.

    The network is the host's, because the engine here has no bridge: the port that it listens at comes with the rest of
    the environment.
    """
    linux = container.get("linuxParameters", {})
    variables = {**{item["name"]: item["value"] for item in container["environment"]}, **environment}
    options = ["--network", "host"]
    options += [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    options += ["--cpu-shares", str(container["cpu"])]
    options += ["--memory", f"{container['memory']}m"] if container.get("memory") else []
    options += ["--init"] if linux.get("initProcessEnabled") else []
    options += ["--read-only"] if container.get("readonlyRootFilesystem") else []
    options += ["--shm-size", f"{linux['sharedMemorySize']}m"] if linux.get("sharedMemorySize") else []
    options += [f"--cap-drop={name}" for name in linux.get("capabilities", {}).get("drop", [])]
    options += [f"--security-opt={option}" for option in container.get("dockerSecurityOptions", [])]
    options += [f"--tmpfs={one['containerPath']}:size={one['size']}m" for one in linux.get("tmpfs", [])]
    # Without CAP_SYS_RESOURCE, which root of a CI job may lack, a limit cannot be above that of this machine.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = {one["name"]: min(one["hardLimit"], most) for one in container.get("ulimits", [])}
    return options + [f"--ulimit={name}={limit}:{limit}" for name, limit in limits.items()]


@pytest.fixture(scope="module")
def replica(cortex: Cortex) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """The container definition of an API that the local cloud runs, and what its agent gives to containers."""
    cortex.ok("deploy", str(IRIS), "--env", "local")
    ecs = cortex.aws("ecs")
    [service] = ecs.list_services(cluster="cortex-local")["serviceArns"]
    described = ecs.describe_services(cluster="cortex-local", services=[service])["services"][0]
    definition = ecs.describe_task_definition(taskDefinition=described["taskDefinition"])["taskDefinition"]
    # As the local agent gives them to its own replica: address, credentials, metadata.
    [process] = [psutil.Process(pid) for pid in cortex.replicas("iris-classifier")]
    given = {name: value for name, value in process.environ().items() if name.startswith(("AWS_", "ECS_"))}
    port = cortex.control_url.rpartition(":")[2].rstrip("/")
    with relayed(int(port)) as relay:
        given = {name: value.replace(f":{port}", f":{relay}") for name, value in given.items()}
        yield definition["containerDefinitions"][0], given


def test_an_image_runs_as_its_task_definition_says(
    built: tuple[str, Built], builder: Builder, replica: tuple[dict[str, Any], dict[str, str]]
) -> None:
    definition, given = replica
    engine, port = builder.engine, free_port()
    options = as_options(definition, {**given, "CORTEX_LISTEN": f"127.0.0.1:{port}"})
    began = time.monotonic()
    container = engine.docker("run", "--detach", *options, builder.image(built[0]), *definition["command"])
    started = time.monotonic()
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", "the serving program")
        answers = time.monotonic()
        wait_for(f"http://127.0.0.1:{port}/readyz", "the replica")
        ready = time.monotonic()
        cpu = engine.docker("exec", container, "sh", "-c", CPU_TIME)
        sample = json.loads((IRIS / "sample.json").read_text())
        answer = requests.post(f"http://127.0.0.1:{port}/iris-classifier", json=sample, timeout=30)
        assert (answer.status_code, answer.json()) == (200, "setosa"), answer.text
        stopping = time.monotonic()
        engine.docker("stop", "--time", str(definition["stopTimeout"]), container)
        stopped = time.monotonic()
        state = json.loads(engine.docker("inspect", "--format", "{{json .State}}", container))
        assert state["ExitCode"] == 0
    finally:
        print(engine.docker("logs", container, merged=True))
        engine.docker("rm", "--force", container)
    print(
        f"\n{built[0]}: container {started - began:.1f} s, serving program {answers - started:.1f} s, "
        f"predictor {ready - answers:.1f} s, CPU time until ready {int(cpu) / 1000:.1f} s; "
        f"stopped in {stopped - stopping:.1f} s"
    )


def test_a_changed_serving_program_moves_one_small_layer(cpu: str, builder: Builder) -> None:
    """The cache is the image that was pushed: builders begin empty."""
    engine = builder.engine
    before = builder.layers("cpu")
    digest = engine.docker("inspect", "--format", "{{index .RepoDigests 0}}", cpu)
    engine.docker("builder", "prune", "--all", "--force")
    for tag in ("cpu", "gpu"):
        engine.docker("rmi", "--force", builder.image(tag), check=False)
    context = iris_context(changed="serving_image/cortex_serving/cli.py")
    result = builder.build(context, "changed", options=f"--cache-from {digest}")
    assert result.status == 0, result.log
    fresh = {layer: size for layer, size in builder.layers("changed").items() if layer not in before}
    print(f"\na changed serving program: {sum(fresh.values()) / MIB:.2f} MiB moved, {result.seconds:.0f} s")
    assert sum(fresh.values()) < MIB
    assert re.findall(r"==> (.*)$", result.log, re.MULTILINE) == ["the serving program", "installed"]


def test_a_push_that_fails_is_not_blamed_on_the_project(cpu: str, builder: Builder) -> None:
    result = builder.build(iris_context(), "nowhere", registry=f"127.0.0.1:{free_port()}")
    found = failure_of(result)
    assert result.status != 0
    assert found.file is None
    assert found.reason
    assert "connection refused" in found.reason


def test_a_requirement_that_does_not_exist_is(cpu: str, builder: Builder) -> None:
    context = iris_context()
    content = type(context.files["Dockerfile"])(b"no-such-package-of-cortex==1\n", executable=False)
    result = builder.build(BuildContext({**context.files, "project/requirements.txt": content}, ""), "broken")
    found = failure_of(result)
    assert (found.file, found.installed) == ("requirements.txt", False)
    assert found.reason
    assert "no-such-package-of-cortex was not found" in found.reason


def failure_of(result: Built) -> Any:
    """What the deployer makes of a log."""

    class Cloud:
        """CloudWatch with that log."""

        def get_log_events(self, **_query: Any) -> dict[str, Any]:
            events = [{"message": line} for line in result.log.splitlines()]
            return {"events": events if "nextToken" not in _query else [], "nextForwardToken": "end"}

    cloud: Any = Cloud()
    cloud.logs = cloud
    log = BuildLog(cloud, "group", "stream")
    log.new()
    return failure(log.lines)
