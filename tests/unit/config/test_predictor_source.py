"""The predictor class is checked by parsing: what is refused, where, and what is trusted."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.config import Predictor
from cortex_cdk.config.checks.predictor_source import check_source

MODELS = {"models": {"paths": [{"name": "a", "model_path": "s3://b/m"}]}}
NO_CLASS = "defines no class PythonPredictor, which predictor.type python needs"
ALLOWED = "allowed are payload, query_params, headers, batch_id"
GOOD = """
class PythonPredictor:
    def __init__(self, config): ...
    def predict(self, payload): ...
"""


def problems(tmp_path: Path, source: str, kind: str = "python", **fields: Any) -> list[str]:
    file = tmp_path / "predictor.py"
    file.write_text(textwrap.dedent(source))
    if kind != "python":
        fields = {"model_path": "s3://b/m", **fields}
    found = check_source(file, Predictor(type=kind, path="predictor.py", **fields))
    return [str(problem).removeprefix(f"{file}:").strip() for problem in found]


def methods(init: str = "self, config", predict: str = "self, payload", more: str = "") -> str:
    body = f"def __init__({init}): ...\n    def predict({predict}): ...\n    {more}\n"
    return f"class PythonPredictor:\n    {body}"


@pytest.mark.parametrize(
    ("source", "kind", "fields"),
    [
        (GOOD, "python", {}),
        (methods("self, config, job_spec"), "python", {}),
        (methods("self, config, python_client=None"), "python", {}),
        (methods("self, python_client, config", more="def load_model(self, model_path): ..."), "python", MODELS),
        (methods(predict="self"), "python", {}),
        (methods(predict="self, batch_id, headers, query_params, payload"), "python", {}),
        (methods(predict="self, *, payload, headers"), "python", {}),
        (methods(predict="self, /, payload"), "python", {}),
        (methods(predict="self, payload, verbose=False"), "python", {}),
        (methods(predict="self, payload, *args, **kwargs"), "python", {}),
        (methods(predict="self, payload: 'Sample', *, query_params: dict"), "python", {}),
        (methods(more="def post_predict(self, response, payload, query_params, headers): ..."), "python", {}),
        (GOOD.replace("Python", "ONNX").replace("config", "onnx_client, config"), "onnx", {}),
        (GOOD.replace("Python", "TensorFlow").replace("config", "config, tensorflow_client"), "tensorflow", {}),
        ("from lib import PythonPredictor", "python", {}),
        ("from lib import *", "python", {}),
        ("PythonPredictor = make()", "python", {}),
        ("a, PythonPredictor = make()", "python", {}),
        ("from lib import Base\nclass PythonPredictor(Base): ...", "python", {}),
        ("import lib\nclass PythonPredictor(lib.Base): ...", "python", {}),
        ("class PythonPredictor(metaclass=Meta): ...", "python", {}),
        ("@dataclass\nclass PythonPredictor:\n    config: dict\n    def predict(self, payload): ...", "python", {}),
        (GOOD.replace("PythonPredictor", "Base") + "class PythonPredictor(Base): ...", "python", {}),
        (methods() + "    predict = traced(predict)", "python", {}),
        ("class PythonPredictor:\n    def __init__(self, config): ...\nPythonPredictor.predict = f", "python", {}),
        (
            "try:\n    import gpu\n"
            + textwrap.indent(methods(), "    ")
            + "except ImportError:\n"
            + textwrap.indent(methods(), "    "),
            "python",
            {},
        ),
        ("class PythonPredictor:\n    from lib import __init__, predict", "python", {}),
        (
            "class PythonPredictor:\n    __init__ = lambda self, config: None\n    predict = lambda self, payload: 1",
            "python",
            {},
        ),
        (
            GOOD.replace("def predict(self, payload)", "@my.decorator\n    def predict(self, anything, else_)"),
            "python",
            {},
        ),
        (GOOD.replace("def predict", "@torch.no_grad()\n    def predict"), "python", {}),
        (GOOD.replace("def predict", "@async_to_sync\n    async def predict"), "python", {}),
        (methods(more="async def predict(self, payload):\n        yield 1"), "python", {}),
        (methods(more="def predict(self, payload):\n        while 1:\n            x = yield 1"), "python", {}),
        ("if True:\n" + textwrap.indent(GOOD, "    "), "python", {}),
    ],
)
def test_accepted(tmp_path: Path, source: str, kind: str, fields: dict[str, Any]) -> None:
    assert problems(tmp_path, source, kind, **fields) == []


@pytest.mark.parametrize(
    ("source", "fields", "expected"),
    [
        ("", {}, NO_CLASS),
        (
            "class PythonPredicter: ...",
            {},
            f"{NO_CLASS} (rename PythonPredicter to PythonPredictor)",
        ),
        (
            "class ONNXPredictor: ...",
            {},
            f"{NO_CLASS} (there is ONNXPredictor: did you mean type onnx?)",
        ),
        (GOOD + GOOD, {}, "6:1: PythonPredictor: is defined twice; the first one is in line 2"),
        (
            "class PythonPredictor:\n    def __init__(self, config): ...",
            {},
            "1:1: PythonPredictor: has no method predict (define predict(self, payload))",
        ),
        (
            "class PythonPredictor:\n    def predict(self): ...",
            {},
            "1:1: PythonPredictor: has no method __init__ (define __init__(self, config))",
        ),
        (methods("self"), {}, "2:5: PythonPredictor.__init__: must take config"),
        (methods("self, **kwargs"), {}, "2:5: PythonPredictor.__init__: must take config"),
        (methods("config"), {}, "2:18: PythonPredictor.__init__: must take self first"),
        (methods("*args"), {}, "2:5: PythonPredictor.__init__: must take self first"),
        (
            methods("self, confg, config"),
            {},
            "2:24: PythonPredictor.__init__: takes confg, which is never passed; allowed are config, job_spec, "
            "python_client (did you mean config?)",
        ),
        (
            methods("self, config, python_client"),
            {},
            "2:32: PythonPredictor.__init__: takes python_client, which is passed only when models are configured"
            " (set predictor.models, or remove the argument)",
        ),
        (
            methods("self, config", more="def load_model(self, model_path): ..."),
            MODELS,
            "2:5: PythonPredictor.__init__: must take python_client (models are configured)",
        ),
        (
            methods("self, config, python_client"),
            {"model_path": "s3://b/m"},
            "1:1: PythonPredictor: has no method load_model (define load_model(self, model_path))",
        ),
        (
            methods("self, config, python_client", more="def load_model(self, model_path, version): ..."),
            MODELS,
            "4:38: PythonPredictor.load_model: takes version, which is never passed; allowed are model_path",
        ),
        (
            methods(predict="self, payloads"),
            {},
            "3:23: PythonPredictor.predict: takes payloads, which is never passed; allowed are payload, query_params, "
            "headers, batch_id (did you mean payload?)",
        ),
        (
            methods(predict="self, *, request"),
            {},
            "3:26: PythonPredictor.predict: takes request, which is never passed; allowed are payload, query_params, "
            "headers, batch_id",
        ),
        (
            methods(predict="self, payload, /"),
            {},
            "3:23: PythonPredictor.predict: takes payload by position only, but it is passed by name (remove /)",
        ),
        (
            methods(more="def post_predict(self, batch_id): ..."),
            {},
            "4:28: PythonPredictor.post_predict: takes batch_id, which is never passed; allowed are response, payload, "
            "query_params, headers",
        ),
        (
            GOOD.replace("def predict", "async def predict"),
            {},
            "4:5: PythonPredictor.predict: must not be async; define it with def"
            " (replicas run predictions in threads; more of them with threads_per_process)",
        ),
        (
            methods(more="async def predict(self, payload):\n        def inner():\n            yield 1"),
            {},
            "4:5: PythonPredictor.predict: must not be async; define it with def"
            " (replicas run predictions in threads; more of them with threads_per_process)",
        ),
        (
            methods(more="def post_predict(self):\n        yield"),
            {},
            "4:5: PythonPredictor.post_predict: has a yield, and would never run: only predict may be a generator",
        ),
        (
            GOOD.replace("def predict(self", "@staticmethod\n    def predict(self"),
            {},
            "5:5: PythonPredictor.predict: must be an ordinary method, not a staticmethod (remove @staticmethod)",
        ),
        (
            "class PythonPredictor:\n    def __init__(self, config): ...\n    predict = None",
            {},
            "3:15: PythonPredictor.predict: must be a method; define it with def",
        ),
        (
            methods(predict="self, é, payloads"),
            {},
            "3:23: PythonPredictor.predict: takes é, which is never passed; " + ALLOWED,
        ),
        (
            GOOD.replace("PythonPredictor", "Base").replace("payload", "x") + "class PythonPredictor(Base): ...",
            {},
            "4:23: PythonPredictor.predict: takes x, which is never passed; " + ALLOWED,
        ),
        (
            "class PythonPredictor(object): ...",
            {},
            "1:1: PythonPredictor: has no method __init__ (define __init__(self, config))",
        ),
        (GOOD + "é = (", {}, "5:5: is not valid Python: '(' was never closed"),
        (methods(predict="self, a, a"), {}, "3:26: is not valid Python: duplicate argument 'a' in function definition"),
    ],
)
def test_refused(tmp_path: Path, source: str, fields: dict[str, Any], expected: str) -> None:
    first = problems(tmp_path, source, **fields)[0]
    assert first.split(" (checked with")[0] == expected


def test_columns_count_characters(tmp_path: Path) -> None:
    assert problems(tmp_path, methods(predict="self, payload='é', *, x"))[0].startswith("3:39: ")


def test_clients_are_needed_for_other_types(tmp_path: Path) -> None:
    source = GOOD.replace("Python", "ONNX")
    assert problems(tmp_path, source, "onnx") == ["3:5: ONNXPredictor.__init__: must take onnx_client"]
    wrong = source.replace("config", "config, tensorflow_client")
    assert "allowed are config, job_spec, onnx_client" in problems(tmp_path, wrong, "onnx")[0]


def test_all_problems_at_once(tmp_path: Path) -> None:
    source = methods("self, confi", "self, payloads, header", "async def post_predict(self): ...")
    assert [line.split(": ")[1] for line in problems(tmp_path, source)] == [
        "PythonPredictor.__init__",
        "PythonPredictor.__init__",
        "PythonPredictor.predict",
        "PythonPredictor.predict",
        "PythonPredictor.post_predict",
    ]


@pytest.mark.parametrize("content", [b"\x00", b"# coding: nonsense\n", b"x = '\xff'\n", b"(" * 100_000])
def test_files_that_are_no_python(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "predictor.py"
    file.write_bytes(content)
    (problem,) = check_source(file, Predictor(type="python", path="predictor.py"))
    assert "Python" in problem.message


def test_a_class_that_derives_from_itself(tmp_path: Path) -> None:
    assert problems(tmp_path, "class PythonPredictor(PythonPredictor): ...") == []


def test_other_encodings(tmp_path: Path) -> None:
    file = tmp_path / "predictor.py"
    file.write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe4'" + GOOD.encode())
    assert check_source(file, Predictor(type="python", path="predictor.py")) == []


def test_nothing_is_run(tmp_path: Path) -> None:
    assert problems(tmp_path, f"raise SystemExit\n{GOOD}") == []
