"""Images as a user meets them: dependencies become an environment once, the log is shown meanwhile, own images work."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CORTEX, Cortex
from tests.local.cli.mistakes import CONFIG, Mistake, commit, config, write_files

PREDICTOR = """\
import sys
from pathlib import Path

import inflect


class PythonPredictor:
    def __init__(self, config):
        self.words = Path(sys.prefix, "words.txt").read_text()

    def predict(self, payload):
        return [self.words, inflect.engine().plural(payload["word"])]
"""
PROJECT: dict[str, str] = {
    "cortex.yaml": CONFIG,
    "predictor.py": PREDICTOR,
    "requirements.txt": "-r more.txt\n",
    "more.txt": "inflect==7.5.0\n",
    "words.txt": "some words",
    "dependencies.sh": 'echo copying\ncp words.txt "$VIRTUAL_ENV"\n',
}
PLAIN = "class PythonPredictor:\n    def __init__(self, config): pass\n    def predict(self, payload): return 1\n"
# Waits for a file that the test makes.
BUILT_TAG = re.compile(r"[0-9a-f]{32}$")
WAITING = 'echo waiting\nuntil [ -e "{flag}" ]; do sleep 0.1; done\necho going on\n'


def builds(cortex: Cortex) -> int:
    listed = cortex.aws("codebuild").list_builds_for_project(projectName="cortex-local-image-builder")
    return len(listed["ids"])


def image_of(cortex: Cortex, name: str) -> str:
    stacks = cortex.aws("cloudformation").describe_stacks(StackName=f"cortex-local-api-{name}")["Stacks"]
    return str(next(p["ParameterValue"] for p in stacks[0]["Parameters"] if p["ParameterKey"] == "Image"))


def ask(cortex: Cortex, name: str) -> Any:
    return json.loads(cortex.ok("predict", name, "-", stdin='{"word": "ox"}'))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_files(folder, PROJECT)
    return folder


def test_what_a_project_installs_is_there_and_its_log_is_shown(cortex: Cortex, project: Path) -> None:
    done = cortex.run("deploy", "-o", "json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["message"] == "created text (RealtimeAPI)"
    shown = [line.removeprefix("image: ") for line in done.stderr.splitlines() if line.startswith("image: ")]
    assert shown[0] == "preparing (once for these dependencies)"
    assert shown[1].startswith("==> dependencies.sh will run on this machine, as you, ")
    steps = [line for line in shown[2:] if line.startswith("==> ") or line == "copying"]
    assert steps == [
        "==> Python",
        "==> dependencies.sh",
        "copying",
        "==> requirements.txt",
        "==> dependencies of the serving program",
        "==> the serving program",
        "==> installed",
    ]
    assert shown[-1] == "ready"
    assert ask(cortex, "text") == ["some words", "oxen"]
    assert "@sha256:" in image_of(cortex, "text")


def test_the_same_dependencies_are_built_once(cortex: Cortex, project: Path) -> None:
    before, image = builds(cortex), image_of(cortex, "text")
    assert "image: " not in cortex.run("deploy", cwd=project).stderr

    write_files(project, {"predictor.py": PREDICTOR.replace("return [", "return ['new', ")})
    done = cortex.run("deploy", cwd=project)
    assert done.stdout.startswith("updated text")
    assert "image: " not in done.stderr
    assert ask(cortex, "text")[0] == "new"
    assert (builds(cortex), image_of(cortex, "text")) == (before, image)


def test_a_file_that_the_script_names_makes_another_image(cortex: Cortex, project: Path) -> None:
    before, image = builds(cortex), image_of(cortex, "text")
    write_files(project, {"words.txt": "other words"})
    cortex.ok("deploy", cwd=project)
    assert ask(cortex, "text")[1] == "other words"
    assert builds(cortex) == before + 1
    assert image_of(cortex, "text") != image


def test_an_image_is_built_anew_where_that_is_asked_for(cortex: Cortex, project: Path) -> None:
    before, image = builds(cortex), image_of(cortex, "text")
    done = cortex.run("deploy", "--rebuild", cwd=project)
    assert done.stdout.startswith("updated text"), done.stderr
    rebuilt = image_of(cortex, "text")
    assert (builds(cortex), rebuilt == image) == (before + 1, False)
    # From now on it is the image of these dependencies.
    assert "image: " not in cortex.run("deploy", cwd=project).stderr
    assert (builds(cortex), image_of(cortex, "text")) == (before + 1, rebuilt)


def test_old_images_are_removed_but_those_that_are_deployed_or_were(
    cortex: Cortex, project: Path, tmp_path: Path
) -> None:
    ecr, deployed = cortex.aws("ecr"), image_of(cortex, "text")
    known = {one["image"] for one in cortex.json("history", "text")["deployments"]}
    assert deployed in known
    assert len(known) > 1
    for number in range(105):
        manifest = json.dumps({"schemaVersion": 2, "config": {"digest": f"sha256:{number:064}"}, "layers": []})
        ecr.put_image(
            repositoryName="cortex-local",
            imageManifest=manifest,
            imageManifestMediaType="application/vnd.oci.image.manifest.v1+json",
            imageTag=f"old-{number:03}",
            imageDigest=f"sha256:{number:064x}",
        )
    write_files(tmp_path, {"cortex.yaml": CONFIG.replace("text", "more"), "predictor.py": PLAIN})
    done = cortex.run("deploy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pages = ecr.get_paginator("describe_images").paginate(repositoryName="cortex-local")
    images = [image for page in pages for image in page["imageDetails"]]
    tags = {tag for image in images for tag in image["imageTags"]}
    assert {"old-000", "old-005"} - tags == {"old-000", "old-005"}
    assert "old-006" in tags
    needed = {image.partition("@")[2] for image in known}
    assert needed <= {image["imageDigest"] for image in images}, "neither replicas nor a roll-back could start"
    assert len(images) == 100 + len(needed)
    cortex.ok("delete", "more")


def test_an_image_may_be_used_again_as_ones_own(cortex: Cortex, tmp_path: Path) -> None:
    own = with_image(image_of(cortex, "text"))["cortex.yaml"].replace("name: text", "name: own")
    before = builds(cortex)
    write_files(tmp_path, {"cortex.yaml": own, "predictor.py": PREDICTOR, "requirements.txt": "no-such-package==1\n"})
    done = cortex.run("deploy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "own.predictor.image: is used as it is: requirements.txt will not be installed" in done.stderr
    assert ask(cortex, "own") == ["other words", "oxen"]
    assert builds(cortex) == before
    assert image_of(cortex, "own") == image_of(cortex, "text")


def test_the_tag_of_an_own_image_is_resolved_when_it_is_deployed(cortex: Cortex, tmp_path: Path) -> None:
    """A tag that is moved later moves no replica, and is another revision for the next deployment."""
    ecr = cortex.aws("ecr")
    address, _, digest = image_of(cortex, "text").partition("@")
    repository = address.partition("/")[2]
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="MUTABLE")
    pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository)
    built = {
        image["imageDigest"]
        for page in pages
        for image in page["imageDetails"]
        if BUILT_TAG.match(image["imageTags"][0])
    }
    other = next(iter(built - {digest}))

    def move_tag(to: str) -> None:
        (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": to}])["images"]
        manifest = {key: image[key] for key in ("imageManifest", "imageManifestMediaType") if key in image}
        ecr.put_image(repositoryName=repository, imageTag="moving", **manifest)

    own = with_image(f"{address}:moving")["cortex.yaml"].replace("name: text", "name: tagged")
    write_files(tmp_path, {"cortex.yaml": own, "predictor.py": PLAIN})
    move_tag(digest)
    cortex.ok("deploy", cwd=tmp_path)
    assert image_of(cortex, "tagged") == f"{address}@{digest}"
    move_tag(other)
    assert cortex.ok("deploy", cwd=tmp_path).startswith("updated tagged")
    assert image_of(cortex, "tagged") == f"{address}@{other}"
    cortex.ok("delete", "tagged", "--yes")


def test_an_own_image_that_does_not_exist(cortex: Cortex, tmp_path: Path) -> None:
    mistake = Mistake("own-image-missing", with_image("123456789012.dkr.ecr.us-east-1.amazonaws.com/cortex-local:mine"))
    mistake.write(tmp_path)
    commit(cortex, mistake, tmp_path)


def test_an_own_image_of_another_registry_says_what_to_do(cortex: Cortex, tmp_path: Path) -> None:
    write_files(tmp_path, {**PROJECT, **with_image("quay.io/me/mine:1")})
    done = cortex.run("deploy", cwd=tmp_path)
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "CannotPullContainerError: failed to resolve ref quay.io/me/mine:1: not found" in error
    assert "the local cloud runs no containers" in error
    assert "(leave predictor.image out here)" in error


def with_image(image: str) -> dict[str, str]:
    """The configuration with an image of one's own."""
    return config("path: predictor.py", f"path: predictor.py\n    image: {image}")


def test_lines_are_shown_as_they_come_and_an_interrupted_deployment_goes_on(cortex: Cortex, tmp_path: Path) -> None:
    flag, folder = tmp_path / "flag", tmp_path / "project"
    waiting = f"{PROJECT['dependencies.sh']}{WAITING.format(flag=flag)}"
    write_files(folder, {**PROJECT, "dependencies.sh": waiting, "cortex.yaml": CONFIG.replace("text", "slow")})
    before = builds(cortex)

    first = deploy_until_it_waits(cortex, folder)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 130
    second = deploy_until_it_waits(cortex, folder)
    assert builds(cortex) == before + 1
    flag.touch()
    printed, shown = second.communicate(timeout=200)
    assert second.returncode == 0, shown
    assert "image: going on\n" in shown
    assert printed.startswith("created slow")
    assert builds(cortex) == before + 1


def deploy_until_it_waits(cortex: Cortex, folder: Path) -> subprocess.Popen[str]:
    """Start a deployment, and read what it shows until the script waits; it would go on only after that."""
    deployment = subprocess.Popen(
        [CORTEX, "deploy"],
        cwd=folder,
        env=cortex.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert deployment.stderr
    assert any(line == "image: waiting\n" for line in deployment.stderr), "the log was not shown"
    return deployment
