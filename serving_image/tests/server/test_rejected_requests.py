"""Predictors that cannot be built, or could never work: refused at the start, with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import running, write_project

BROKEN = {
    "raises": ("def __init__(self, config): raise ValueError('no weights')", "ValueError: no weights"),
    "cancelled": ("def __init__(self, config): raise __import__('asyncio').CancelledError", "CancelledError"),
    "without words": (
        "def __init__(self, config): raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})",
        "Odd",
    ),
    "signature": ("def __init__(self): pass", "PredictorError: PythonPredictor.__init__ must take config"),
    "surrogate": ("def __init__(self, config): raise ValueError('\\ud800')", "ValueError: \\ud800"),
    "long": ("def __init__(self, config): raise ValueError('x' * 20_000_000)", "ValueError: xxx"),
    "async": ("async def __init__(self, config): pass", "PythonPredictor.__init__ is async"),
    "yield": ("def __init__(self, config): yield", "PythonPredictor.__init__ has a yield"),
    "position": ("def __init__(self, config, /): pass", "takes config by position, but is given names: remove the /"),
    "async predict": (
        "def __init__(self, config): pass\n    async def predict(self): pass",
        "PythonPredictor.predict is async, and would never run: define it with def",
    ),
    "async post_predict": (
        "def __init__(self, config): pass\n    async def post_predict(self): pass",
        "PythonPredictor.post_predict is async",
    ),
    "static": (
        "def __init__(self, config): pass\n    @staticmethod\n    def predict(self): pass",
        "PythonPredictor.predict is a staticmethod: make it an ordinary method",
    ),
    "decorated": (
        "def __init__(self, config): pass\n    @lambda f: lambda *args: f(*args)\n    def predict(self): pass",
        "give the wrapper functools.wraps",
    ),
    "twice": (
        "def __init__(self, config): pass\n    def predict(self): pass\nclass PythonPredictor: pass",
        "predictor.py defines PythonPredictor more than once, in lines 1 and 4: keep one",
    ),
    "syntax": ("def __init__(self, config: pass", "SyntaxError: "),
    "argument": ("def __init__(self, config): pass\n    def predict(self, body): pass", "takes body; possible are"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_predictor_that_cannot_be_built_ends_the_replica(tmp_path: Path, case: str) -> None:
    body, reason = BROKEN[case]
    log = tmp_path / "termination"
    rest = "" if " predict(" in body else "    def predict(self): pass\n"
    code = f"class PythonPredictor:\n    {body}\n{rest}"
    project = write_project(tmp_path / "broken", code)
    spec = json.loads((project / "cortex.yaml").read_text())[0]
    environ = {
        "CORTEX_SPEC": json.dumps(spec),
        "CORTEX_PROJECT": str(project),
        "CORTEX_LISTEN": "127.0.0.1:0",
        "CORTEX_TERMINATION_LOG": str(log),
    }
    with running([], environ, ready=False) as replica:
        assert replica.process.wait(20) == 1
        replica.stop()
        last = replica.lines[-1]
        assert last["event"] == "fatal"
        assert reason in last["message"]
        assert log.read_text().strip() == last["message"]
        texts = replica.messages(event="traceback")
        assert texts
        assert not any("cortex_serving/" in text for text in texts)
        assert not replica.broken
