"""Images of the local cloud: what CodeBuild makes, and what stands in ECR afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cortex_cdk.localcloud.containers.launch import CannotStartError
from cortex_cdk.localcloud.services.ecr import images
from tests.conftest import ROOT
from tests.local import micromamba
from tests.local.localcloud.builds import (
    OUR_STEPS,
    PACKAGE,
    REQUIREMENTS,
    URI,
    build,
    log_of,
    python_of,
    start,
    with_builder,
)
from tests.local.localcloud.data_plane_support import REGION, REPOSITORY, Cloud
from tests.local.waiting import until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with with_builder(tmp_path_factory.mktemp("state")) as result:
        yield result


def test_an_environment_has_nothing_of_the_developers(running: Cloud) -> None:
    """Not even where the project asks for no packages, or for such as lie beside cortex."""
    done = build(running, "own", {**PACKAGE, REQUIREMENTS: "toolz\n"})

    assert (done["buildStatus"], done["logs"]["groupName"]) == ("SUCCEEDED", "/builds"), log_of(running, done)
    assert [phase["phaseType"] for phase in done["phases"]][-1] == "COMPLETED"
    (detail,) = running.client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": "own"}])[
        "imageDetails"
    ]
    by_digest = images.resolve(f"{URI}@{detail['imageDigest']}")
    assert by_digest == images.resolve(f"{URI}:own")
    assert by_digest.command == ("cortex-serve",)
    find = "from importlib.util import find_spec; print(*(name for name in {} if find_spec(name)))"
    assert python_of("own", find.format(["toolz", "click", "cortex_cdk", "moto", "numpy", "pytest"])) == "toolz click"
    paths = python_of("own", "import sys; print(*sys.path[1:])").split()
    assert not [path for path in paths if path.startswith((str(ROOT), str(Path(sys.prefix).resolve())))]


def test_what_the_predictors_type_needs_is_added_where_it_is_missing(running: Cloud) -> None:
    runtimes = "itsdangerous itsdangerous>=2\ntoolz no-such-package-of-ours\n"
    done = build(
        running, "runtimes", {**PACKAGE, REQUIREMENTS: "toolz==0.12.1\n", "serving_image/runtimes.txt": runtimes}
    )
    assert done["buildStatus"] == "SUCCEEDED", log_of(running, done)
    assert python_of("runtimes", "import itsdangerous, toolz; print(toolz.__version__)") == "0.12.1"


def test_other_requirements_make_an_environment_once(running: Cloud) -> None:
    first = build(running, "new", {**PACKAGE, REQUIREMENTS: "toolz==0.12.1\n"})
    assert first["buildStatus"] == "SUCCEEDED", log_of(running, first)

    binaries = images.resolve(f"{URI}:new").binaries
    assert binaries == running.settings.state / "images" / "new" / "environment" / "bin"
    printed = subprocess.run([binaries / "cortex-serve"], capture_output=True, text=True, check=True).stdout
    assert printed == "served 0.12.1\n"

    again = build(running, "new", {**PACKAGE, REQUIREMENTS: "toolz==0.12.1\n"})
    assert "exists already" in log_of(running, again)[0]


def test_a_build_that_fails_says_why(running: Cloud) -> None:
    done = build(running, "bad", {**PACKAGE, REQUIREMENTS: "no-such-package-of-ours==1\n"})

    assert done["buildStatus"] == "FAILED"
    failed = next(phase for phase in done["phases"] if phase.get("phaseStatus") == "FAILED")
    assert failed["phaseType"] == "BUILD"
    (context,) = failed["contexts"]
    assert context["statusCode"] == "COMMAND_EXECUTION_ERROR"
    assert context["message"] == "Error while executing command: install.sh. Reason: exit status 1"
    log = log_of(running, done)
    assert log[-1].startswith("[Container] ")
    assert log[-1].endswith(context["message"])
    assert "no-such-package-of-ours" in "\n".join(log[:-1])
    with pytest.raises(CannotStartError, match="CannotPullContainerError"):
        images.resolve(f"{URI}:bad")


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "project/../../../outside", "a\\..\\outside"])
def test_a_name_that_leaves_its_folder_fails_the_build(running: Cloud, name: str) -> None:
    done = build(running, "names", {name: "text", REQUIREMENTS: "toolz==1.0.0\n"})
    assert done["buildStatus"] == "FAILED"
    assert "leaves its folder" in log_of(running, done)[-1]
    assert list(running.settings.state.rglob("outside")) == []


def test_a_tag_that_leaves_its_folder_fails_the_build(running: Cloud) -> None:
    done = build(running, "../../outside", {REQUIREMENTS: "toolz==1.0.0\n"})
    assert done["buildStatus"] == "FAILED"
    assert "invalid tag '../../outside'" in log_of(running, done)[-1]
    assert not (running.settings.state.parent / "outside").exists()


def test_a_script_runs_first_in_the_environment_and_may_configure_pip(
    running: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "password")
    script = """\
mkdir -p ~/.config/pip && cp pip.conf ~/.config/pip/
echo "index: $(pip config get global.index-url)"
echo "prefix: $(python -c 'import sys; print(sys.prefix)')"
echo "secret: $SECRET_OF_THE_DAEMON"
./tools/note.sh > "$VIRTUAL_ENV/note.txt"
pip install --quiet --index-url https://pypi.org/simple toolz==0.12.0
"""
    files = {
        **PACKAGE,
        REQUIREMENTS: "toolz==0.12.1\n",
        "project/dependencies.sh": script,
        "project/pip.conf": "[global]\nindex-url = https://pypi.org/simple\n",
        "project/tools/note.sh": "#!/bin/sh\necho noted\n",
    }
    done = build(running, "script", files, executable="project/tools/note.sh")
    log = log_of(running, done)
    place = running.settings.state / "images" / "script"

    assert done["buildStatus"] == "SUCCEEDED", log
    assert log[0] == f"==> dependencies.sh will run on this machine, as you, with {place / 'home'} as its HOME"
    assert [line for line in log[1:] if line.startswith("==> ")] == [
        "==> Python",
        "==> dependencies.sh",
        "==> requirements.txt",
        *OUR_STEPS,
    ]
    assert "index: https://pypi.org/simple" in log
    assert any(line.startswith("Collecting toolz==0.12.1 ") for line in log), "pip did not install, and reads pip.conf"
    assert f"prefix: {place / 'environment'}" in log
    assert "secret:" in log
    assert (place / "environment/note.txt").read_text() == "noted\n"
    assert (place / "home/.config/pip/pip.conf").exists()
    served = subprocess.run([place / "environment/bin/cortex-serve"], capture_output=True, text=True, check=True)
    assert served.stdout == "served 0.12.1\n"


def test_a_script_that_fails_ends_the_build(running: Cloud) -> None:
    script = "echo before\nfalse\necho after\n"
    done = build(running, "failing-script", {**PACKAGE, "project/dependencies.sh": script})
    log = log_of(running, done)

    assert done["buildStatus"] == "FAILED"
    assert "before" in log
    assert "after" not in log
    assert "dependencies.sh ended with exit status 1" in log


def test_the_version_of_python_that_is_asked_for(running: Cloud) -> None:
    ours = ".".join(map(str, sys.version_info[:2]))
    done = build(
        running, "python", {**PACKAGE, REQUIREMENTS: "toolz==0.12.1\n", "project/.python-version": f"{ours}\n"}
    )
    assert done["buildStatus"] == "SUCCEEDED", log_of(running, done)
    assert log_of(running, done)[0] == "==> .python-version"
    python = images.resolve(f"{URI}:python").binaries / "python"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout == f"{ours}\n"

    done = build(running, "no-python", {**PACKAGE, "project/.python-version": "3.99\n"})
    assert done["buildStatus"] == "FAILED"
    assert "error: there is no Python 3.99 here, and uv could not get it" in log_of(running, done)


@pytest.fixture
def conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a program named micromamba, first on the PATH."""
    micromamba.write(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_conda_makes_the_environment_and_pip_comes_last(running: Cloud, conda: Path) -> None:
    """The micromamba here is a stand-in at the edge of the world: conda's channels cannot be reached by the tests."""
    files = {
        **PACKAGE,
        REQUIREMENTS: "toolz==0.12.1\n",
        "project/conda-packages.txt": "# exported\nconda-forge::rdkit=2024.3\nconda-forge::python=3.12\n",
        "project/dependencies.sh": "echo in $CONDA_PREFIX\n",
    }
    done = build(running, "conda", files)
    log = log_of(running, done)
    environment = str(running.settings.state / "images" / "conda" / "environment")

    assert done["buildStatus"] == "SUCCEEDED", log
    common = ["--yes", "--prefix", environment, "--channel", "conda-forge"]
    assert micromamba.calls(conda) == [
        ["create", *common, "conda-forge::python=3.12", "pip"],
        ["install", *common, "--file", "conda-packages.txt"],
    ]
    assert [line for line in log[1:] if line.startswith("==> ")] == [
        "==> conda-packages.txt",
        "==> dependencies.sh",
        "==> conda-packages.txt",
        "==> requirements.txt",
        *OUR_STEPS,
    ]
    assert f"in {environment}" in log
    assert images.resolve(f"{URI}:conda").binaries == Path(environment) / "bin"
    # What a package sets when its environment is activated is set where the serving program runs.
    serve = [f"{environment}/bin/cortex-serve"]
    served = subprocess.run(serve, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    assert served.stdout == f"served 0.12.1 with {environment}/share/RDKit\n"


def test_conda_takes_our_python_where_none_is_named(running: Cloud, conda: Path) -> None:
    """The micromamba here is a stand-in, as above."""
    build(running, "conda-python", {**PACKAGE, "project/conda-packages.txt": "rdkit\n"})
    assert micromamba.calls(conda)[0][-2:] == ["python={}.{}".format(*sys.version_info), "pip"]


def test_a_package_that_conda_does_not_have(running: Cloud, conda: Path) -> None:
    """The micromamba here is a stand-in, as above; the words are those of the real one."""
    done = build(running, "conda-unknown", {**PACKAGE, "project/conda-packages.txt": "no-such-package\n"})
    assert done["buildStatus"] == "FAILED"
    assert any("no-such-package =* * does not exist" in line for line in log_of(running, done))


def test_conda_packages_need_a_conda(running: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sh", "bash", "cat", "grep", "head"):
        program = shutil.which(name)
        assert program
        (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = build(running, "no-conda", {**PACKAGE, "project/conda-packages.txt": "rdkit\n"})
    assert done["buildStatus"] == "FAILED"
    assert "error: conda packages need micromamba, mamba or conda, and none is on the PATH" in log_of(running, done)


def test_a_missing_temporary_folder_is_said(running: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    done = build(running, "no-temporary-folder", {**PACKAGE, REQUIREMENTS: "toolz==0.12.1\n"})
    said = f"error: the temporary folder {tmp_path / 'gone'} does not exist, or cannot be written to"
    assert said in log_of(running, done)


@pytest.mark.parametrize("configured", [False, True], ids=["uv", "pip"])
def test_requirements_may_have_hashes(running: Cloud, configured: bool, tmp_path: Path) -> None:
    """pip cannot check the hash of a folder, which the serving program is: it must be installed in another call."""
    hashed = "toolz==0.12.1 --hash=sha256:d22731364c07d72eea0a0ad45bafb2c2937ab6fd38a3507bf55eae8744aa7d85\n"
    script = "mkdir -p ~/.config/pip && printf '[global]\\ntimeout = 99\\n' > ~/.config/pip/pip.conf\n"
    files = {**PACKAGE, REQUIREMENTS: hashed, **({"project/dependencies.sh": script} if configured else {})}
    done = build(running, f"hashes-{configured}", files)
    assert done["buildStatus"] == "SUCCEEDED", log_of(running, done)
    assert any(line.startswith("Collecting toolz") for line in log_of(running, done)) == configured


def test_what_the_project_has_chosen_stays_as_it_is(running: Cloud) -> None:
    """The serving program has its dependencies as tested, but for those that the project installs itself."""
    own = {
        "serving_image/requirements.txt": "click>=8\nitsdangerous>=2\n",
        "serving_image/constraints.txt": "click==8.3.1\nitsdangerous==2.1.2\n",
    }
    done = build(running, "chosen", {**PACKAGE, **own, REQUIREMENTS: "toolz==0.12.1\nclick<8.2\n"})
    assert done["buildStatus"] == "SUCCEEDED", log_of(running, done)
    python = images.resolve(f"{URI}:chosen").binaries / "python"
    code = "from importlib.metadata import version; print(version('click') < '8.2', version('itsdangerous'))"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout == "True 2.1.2\n"


def test_what_the_serving_program_needs_counts_when_the_project_is_installed(running: Cloud) -> None:
    own = {"serving_image/requirements.txt": "click>=8\n"}
    done = build(running, "conflict", {**PACKAGE, **own, REQUIREMENTS: "toolz==0.12.1\nclick==7.1.2\n"})
    log = log_of(running, done)
    assert done["buildStatus"] == "FAILED"
    assert [line for line in log if line.startswith("==> ")][-1] == "==> requirements.txt"


def test_what_both_need_is_chosen_for_both(running: Cloud) -> None:
    """python-dateutil 4 is newer than botocore takes, and the first that is chosen for whoever does not care."""
    own = {"serving_image/requirements.txt": "botocore>=1.35\n", "serving_image/constraints.txt": ""}
    done = build(running, "both", {**PACKAGE, **own, REQUIREMENTS: "python-dateutil\n"})
    assert done["buildStatus"] == "SUCCEEDED", log_of(running, done)


def test_builds_end_with_the_data_plane(running: Cloud) -> None:
    started = start(running, "endless", {**PACKAGE, "project/dependencies.sh": "echo begun\nsleep 600\n"})
    until(lambda: "begun" in log_of(running, started))
    running.restart()
    (found,) = running.client("codebuild").batch_get_builds(ids=[started["id"]])["builds"]
    assert found["buildStatus"] in ("FAILED", "STOPPED")
    assert not [process for process in psutil.process_iter(["cmdline"]) if is_of(process, "images/endless/")]


def is_of(process: psutil.Process, place: str) -> bool:
    return any(place in part for part in process.info["cmdline"] or ())


def test_an_environment_that_was_removed_is_said_and_can_be_made_anew(running: Cloud, tmp_path: Path) -> None:
    images.put(REGION, REPOSITORY, "gone", tmp_path / "nowhere", ["true"])
    images.put(REGION, REPOSITORY, "there", Path(sys.executable).parent, ["true"])
    with pytest.raises(CannotStartError, match="was removed"):
        images.resolve(f"{URI}:gone")

    running.restart()
    tags = [image.get("imageTag") for image in running.client("ecr").list_images(repositoryName=REPOSITORY)["imageIds"]]
    assert "there" in tags
    assert "gone" not in tags


def test_an_image_whose_python_is_gone_is_built_again_while_its_tasks_wait(running: Cloud, tmp_path: Path) -> None:
    """As after an upgrade of Python: the environment is there, and its Python is a link to nowhere."""
    gate = tmp_path / "gate"
    gate.touch()
    waiting = f"until [ -e {gate} ]; do sleep 0.1; done\n"
    done = build(running, "upgraded", {**PACKAGE, "project/dependencies.sh": waiting})
    assert done["buildStatus"] == "SUCCEEDED", log_of(running, done)
    before = images.resolve(f"{URI}:upgraded")
    running.group("upgraded")
    running.rule(1, "/upgraded", weights={"upgraded": 1})
    running.service("upgraded", running.definition("upgraded", image=f"{URI}@{before.digest}"))
    until(lambda: running.get("/upgraded")[0] == 200)

    gate.unlink()
    (before.binaries / "python").unlink()
    running.restart()

    until(lambda: any("is being built again" in event["message"] for event in running.describe("upgraded")["events"]))
    assert running.describe("upgraded")["runningCount"] == 0
    assert [task["stopCode"] for task in running.tasks("upgraded", "STOPPED")] == ["TerminationNotice"]
    gate.touch()
    until(lambda: running.get("/upgraded")[0] == 200)
    assert images.resolve(f"{URI}@{before.digest}") == before
    assert len(running.tasks("upgraded", "STOPPED")) == 1, "no task was tried without its image"
