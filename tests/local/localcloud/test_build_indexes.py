"""Where the packages of an image come from: indexes of the project, and of the user's pip."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.localcloud.builds import PACKAGE, REQUIREMENTS, build, log_of, python_of, with_builder
from tests.local.localcloud.data_plane_support import Cloud


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with with_builder(tmp_path_factory.mktemp("state")) as result:
        yield result


@pytest.fixture
def private(tmp_path: Path) -> str:
    """The URL of an index: an older toolz than PyPI has, a package of our own, and what every environment has."""
    packages = {"toolz": "0.0.1", "only_of_ours": "1.0", "pip": "1", "setuptools": "1", "wheel": "1"}
    for name, version in packages.items():
        folder = tmp_path / "simple" / name.replace("_", "-")
        folder.mkdir(parents=True)
        wheel = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            info = f"{name}-{version}.dist-info"
            archive.writestr(f"{name}.py", f"__version__ = '{version}'\n")
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        (folder / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return f"file://{tmp_path}/simple"


@pytest.mark.parametrize("strategy", [None, "unsafe-best-match"])
def test_a_public_package_does_not_replace_a_private_one(running: Cloud, private: str, strategy: str | None) -> None:
    """But where the project's uv.toml asks for what pip does."""
    chosen = {"project/uv.toml": f'[pip]\nindex-strategy = "{strategy}"\n'} if strategy else {}
    files = {**PACKAGE, REQUIREMENTS: f"--extra-index-url {private}\ntoolz\n", **chosen}
    done = build(running, f"private-{strategy}", files)
    assert done["buildStatus"] == "SUCCEEDED", log_of(running, done)
    version = python_of(f"private-{strategy}", "import toolz; print(toolz.__version__)")
    assert (version == "0.0.1") == (strategy is None)


def test_an_index_of_pips_configuration_is_used_or_named(
    running: Cloud, private: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", private)
    done = build(running, "extra", {**PACKAGE, REQUIREMENTS: "only-of-ours\n"})
    assert done["buildStatus"] == "FAILED"
    (hint,) = [line for line in log_of(running, done) if "extra-index-url of your pip configuration" in line]
    assert hint.startswith("hint: ")
    assert private in hint

    monkeypatch.setenv("PIP_INDEX_URL", private)
    # The serving program needs a package that this index does not have.
    own = {**PACKAGE, "serving_image/requirements.txt": ""}
    done = build(running, "mirror", {**own, REQUIREMENTS: "toolz\n"})
    log = log_of(running, done)
    assert f"packages come from {private}, the index-url of your pip configuration" in log
    assert " + toolz==0.0.1" in log
