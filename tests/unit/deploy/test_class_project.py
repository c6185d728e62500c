"""A predictor class becomes a project: what it uses around it is written down, and objects become files."""

from __future__ import annotations

import logging
import re
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import sklearn.linear_model as models
import yaml
from IPython.core.interactiveshell import InteractiveShell
from sklearn.linear_model import LogisticRegression

from cortex_cdk.config import Config
from cortex_cdk.deploy.class_project import check_options, write_project
from cortex_cdk.errors import ConfigError, CortexError, ProjectError

FEATURES = ("a", "b")
WORD = re.compile("[a-z]+")
log = logging.getLogger("mine")
fitted = LogisticRegression()
text = "of the module"


@dataclass
class Flower:
    a: float
    b: float = 1.0


def scaled(value: float) -> float:
    """Uses what only this function uses."""
    return float(np.round(value, 1))


class Base:
    def predict(self, payload: Flower) -> dict[str, Any]:
        log.info("%s", WORD.findall("abc"))
        text = "local"
        return {"sum": scaled(payload.a + payload.b), "features": FEATURES, "text": text}


class Adder(Base):
    """Adds."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.kind = models.LogisticRegression.__name__ + sklearn.linear_model.Lasso.__name__
        self.factor = config.get("factor", 1)


def project(tmp_path: Path, cls: type, **options: Any) -> Config:
    given: Any = {"name": "adder", **options}
    check_options(cls, given)
    return write_project(cls, given, tmp_path)


def loaded(tmp_path: Path) -> dict[str, Any]:
    """What the written module defines, in a process that has nothing else."""
    return runpy.run_path(str(tmp_path / "predictor.py"))


def test_the_module_has_all_that_the_class_uses(tmp_path: Path) -> None:
    (api,) = project(tmp_path, Adder, config={"factor": 2}).apis
    names = loaded(tmp_path)
    predictor = names["PythonPredictor"]({"factor": 2})
    assert predictor.predict(names["Flower"](1.25, 2)) == {"sum": 3.2, "features": FEATURES, "text": "local"}
    assert predictor.kind == "LogisticRegressionLasso"
    assert (api.name, api.predictor.type, dict(api.predictor.config)) == ("adder", "python", {"factor": 2})
    assert "text = " not in (tmp_path / "predictor.py").read_text().replace('text = "local"', "")


def test_requirements_are_the_installed_packages(tmp_path: Path) -> None:
    project(tmp_path, Adder, files={"model.joblib": fitted})
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert lines == [f"numpy=={np.__version__}", f"scikit-learn=={sklearn.__version__}"]


def test_requirements_that_are_given_count(tmp_path: Path) -> None:
    project(tmp_path, Adder, requirements=["scikit-learn>=1.5", "numpy"])
    assert (tmp_path / "requirements.txt").read_text() == "scikit-learn>=1.5\nnumpy\n"


def test_files_are_paths_bytes_and_objects(tmp_path: Path) -> None:
    import joblib

    (tmp_path / "from").mkdir()
    (tmp_path / "from/one.txt").write_text("one")
    folder = tmp_path / "project"
    folder.mkdir()
    files = {
        "words/copy.txt": tmp_path / "from/one.txt",
        "folder": str(tmp_path / "from"),
        "raw.bin": b"raw",
        "model.joblib": fitted,
        "table.npy": np.arange(3),
        "labels.json": {"labels": np.array(["x"])},
    }
    project(folder, Adder, files=files, sample={"a": np.float64(1.5)})
    assert (folder / "words/copy.txt").read_text() == (folder / "folder/one.txt").read_text() == "one"
    assert (folder / "raw.bin").read_bytes() == b"raw"
    assert isinstance(joblib.load(folder / "model.joblib"), LogisticRegression)
    assert np.load(folder / "table.npy").tolist() == [0, 1, 2]
    assert yaml.safe_load((folder / "labels.json").read_text()) == {"labels": ["x"]}
    assert yaml.safe_load((folder / "sample.json").read_text()) == {"a": 1.5}


def test_an_object_is_refused_with_the_way_to_pass_it(tmp_path: Path) -> None:
    class Captured:
        def __init__(self, config: dict[str, Any]) -> None:
            pass

        def predict(self, payload: Any) -> Any:
            return fitted.predict(payload)

    with pytest.raises(ProjectError, match="Captured uses fitted, an object of LogisticRegression") as refused:
        project(tmp_path, Captured)
    assert refused.value.hint and 'files={"fitted.joblib": fitted}' in refused.value.hint


def test_what_a_function_around_the_class_has_is_written_down(tmp_path: Path) -> None:
    offset = 3

    class Local:
        def __init__(self, config: dict[str, Any]) -> None:
            pass

        def predict(self, payload: Any) -> Any:
            return payload + offset

    project(tmp_path, Local)
    assert loaded(tmp_path)["PythonPredictor"]({}).predict(4) == 7


def test_a_mistake_in_the_options_is_told_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        project(tmp_path, Adder, compute={"memory": "1Gi"})
    assert refused.value.message.startswith("cortex.yaml: adder.compute.memory: ")


def test_a_class_without_predict_is_refused(tmp_path: Path) -> None:
    class Empty:
        def __init__(self, config: dict[str, Any]) -> None:
            pass

    with pytest.raises(ConfigError, match=r"predictor.py.*PythonPredictor: has no method predict"):
        project(tmp_path, Empty)


@pytest.mark.parametrize("name", ["../x", "/x", "predictor.py", "cortex.yaml", "model.onnx"])
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectError):
        project(tmp_path, Adder, files={name: fitted})


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("folder", {"name": "x"}, "name= belongs to a class"),
        (Adder({}), {"name": "x"}, "not an object of Adder"),
        ({"name": "x"}, {}, "not an object of dict"),
        (Adder, {}, "Adder needs a name"),
        (Adder, {"name": "x", "mem": "1Gi"}, "deploy takes no mem="),
    ],
)
def test_options_that_do_not_fit_are_refused(source: object, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CortexError, match=message):
        check_options(source, options)


CELLS = (
    "from dataclasses import dataclass\nimport math",
    "@dataclass\nclass Point:\n    x: float\n",
    "@dataclass\nclass Point:\n    x: float\n    y: float = 4\n",
    "SCALE = 2",
    """
class Distance:
    def __init__(self, config):
        self.scale = SCALE

    def predict(self, payload: Point):
        return {"distance": self.scale * math.hypot(payload.x, payload.y)}
""",
)


def test_classes_of_a_notebook_are_found(tmp_path: Path) -> None:
    """In a real shell of IPython, whose classes ``inspect.getsource`` does not find."""
    shell: Any = InteractiveShell.instance()
    try:
        for cell in CELLS:
            assert shell.run_cell(cell, store_history=True).success
        project(tmp_path, shell.user_ns["Distance"])
    finally:
        InteractiveShell.clear_instance()
    names = loaded(tmp_path)
    assert names["PythonPredictor"]({}).predict(names["Point"](3)) == {"distance": 10.0}


CELLS_WITH_A_MODEL = (
    "import io, joblib, pickle\nfrom sklearn.pipeline import make_pipeline\n"
    "from sklearn.preprocessing import FunctionTransformer",
    "def scale(rows):\n    return rows",
    "model = make_pipeline(FunctionTransformer(scale))\npickled = pickle.dumps(model)",
    "class Model:\n    def __init__(self, config): ...\n    def predict(self, payload): ...\n",
)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("model.joblib", "given = model"),
        ("model.pickle", "given = model"),
        ("models/first.pkl", "given = pickled"),
        ("model.joblib", "given = folder / 'm.joblib'; joblib.dump(model, given, compress=3)"),
        ("models", "given = folder / 'made'; given.mkdir(); _ = (given / 'm.pkl').write_bytes(pickled)"),
    ],
)
def test_an_object_of_a_notebooks_function_is_refused(tmp_path: Path, name: str, cell: str) -> None:
    (tmp_path / "project").mkdir()
    shell: Any = InteractiveShell.instance()
    shell.user_ns["folder"] = tmp_path
    main = sys.modules["__main__"]
    sys.modules["__main__"] = shell.user_module
    try:
        for one in (*CELLS_WITH_A_MODEL, cell):
            assert shell.run_cell(one, store_history=True).success
        with pytest.raises(ProjectError, match=r"needs scale, which a notebook or script has defined") as refused:
            project(tmp_path / "project", shell.user_ns["Model"], files={name: shell.user_ns["given"]})
    finally:
        sys.modules["__main__"] = main
        InteractiveShell.clear_instance()
    assert "files={'parts.py': 'parts.py'}" in (refused.value.hint or "")
