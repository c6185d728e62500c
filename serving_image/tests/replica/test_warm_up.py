"""The warm-up: what a project's sample request does before a replica is ready, and what comes of one that fails."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Replica, Serve, running, write_project

OFF = "(predictor.warmup: false starts without it)"


def ended(serve: Serve, folder: Path, code: str, sample: Any, **predictor: Any) -> tuple[str, Replica]:
    """The last words of a replica whose sample (JSON value or text) fails."""
    (folder / "project").mkdir()
    text = sample if isinstance(sample, str) else json.dumps(sample)
    (folder / "project" / "sample.json").write_text(text)
    replica = serve(code, ready=False, **predictor)
    fatal = replica.wait_for("fatal")["message"]
    assert replica.process.wait(30) == 1
    assert not replica.messages(event="ready")
    return fatal, replica


def test_the_sample_request_warms_up_every_batch_size(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "sample.json").write_text('{"x": 1}')
    replica = serve(
        """
        sizes = []
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                assert all(item == {"x": 1} for item in payload)
                sizes.append(len(payload))
                return [list(sizes)] * len(payload)
        """,
        server_side_batching={"max_batch_size": 12, "batch_interval": 0.01},
    )
    assert replica.post({"x": 1}).json() == [1, 2, 4, 8, 12, 1]
    assert replica.get("/api").json()["sample"] == {"x": 1}


PREDICT = """
import falcon, json, sys, typing
import pydantic

class Text(pydantic.BaseModel):
    text: str

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, {arguments}):
        {body}
"""

BATCHED = {"server_side_batching": {"max_batch_size": 4, "batch_interval": "10ms"}}
FAILING: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "exception": ("payload", "return 1 / payload['x']", {}, "failed: ZeroDivisionError: division by zero"),
    "exit": ("payload", "sys.exit('no more')", {}, "failed: SystemExit: no more"),
    "400": (
        "payload",
        "raise falcon.HTTPBadRequest(description='text is missing')",
        {},
        'was answered with 400: {"error":"text is missing"}',
    ),
    "503": ("payload", "raise falcon.HTTPServiceUnavailable()", {}, "was answered with 503"),
    "field": ("payload: Text", "return 1", {}, r'was answered with 422: .*"field":"text","problem":"Field required"'),
    "batch": ("payload", "return [1 / item['x'] for item in payload]", BATCHED, "failed: ZeroDivisionError"),
    "batch of another size": ("payload", "return []", BATCHED, "failed: predict returned 0 values for a batch of 1"),
    "item of a batch": ("payload", "return [ValueError('no') for _ in payload]", BATCHED, "failed: ValueError: no"),
    "larger batch": (
        "payload",
        "assert len(payload) < 3, 'too many'; return payload",
        BATCHED,
        "failed: AssertionError: too many",
    ),
    "stream": ("payload", "yield 'x' * (1 // payload['x'])", {}, "failed: ZeroDivisionError"),
    "result": ("payload", "return object()", {}, "failed: "),
    "processes": ("payload", "return 1 / payload['x']", {"processes_per_replica": 2}, "failed: ZeroDivisionError"),
    "query": ("payload, query_params", "return 1 / payload['x']", {}, "failed: ZeroDivisionError"),
    "key": ("payload, query_params", "return payload['y']", {}, "failed: KeyError: 'y'"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_replica_whose_sample_fails_is_not_ready(serve: Serve, tmp_path: Path, name: str) -> None:
    arguments, body, options, what = FAILING[name]
    code = PREDICT.format(arguments=arguments, body=body)
    fatal, replica = ended(serve, tmp_path, code, {"x": 0}, **options)
    assert re.fullmatch(rf"the sample request sample\.json {what}.*{re.escape(OFF)}", fatal)
    tracebacks = replica.messages(event="traceback")
    if name in ("field", "result", "batch of another size"):  # no line of the predictor raised anything
        assert not tracebacks
    else:
        assert "cortex_serving" not in tracebacks[0]
    if name in ("exception", "400", "stream", "query"):
        assert re.search(r'predictor\.py", line 11, in predict', tracebacks[0])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"x": 1,}', "Illegal trailing comma|double quotes"),
        ('\ufeff{"x": 1}', "Unexpected UTF-8 BOM"),  # no more than a request
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_sample_that_cannot_be_read_fails(serve: Serve, tmp_path: Path, content: str, reason: str) -> None:
    fatal, _ = ended(serve, tmp_path, PREDICT.format(arguments="payload", body="return 1"), content)
    assert re.fullmatch(rf"the sample request sample\.json cannot be read: .*(?:{reason}).*{re.escape(OFF)}", fatal)


@pytest.mark.parametrize(
    ("arguments", "body", "missing"),
    [
        ("payload, query_params", "return query_params['model']", "model"),
        ("payload, headers", "return headers['X-Key']", "X-Key"),
        ("payload, query_params", "json.loads(query_params.get('n') or sys.exit('n is missing'))", None),
        (
            "payload, headers",
            "if 'X-Key' not in headers: raise falcon.HTTPUnauthorized(description='give X-Key')",
            "X-Key",
        ),
    ],
)
def test_a_sample_without_what_predict_asks_for_says_nothing(
    serve: Serve, tmp_path: Path, arguments: str, body: str, missing: str | None
) -> None:
    code = PREDICT.format(arguments=arguments, body=body)
    if missing is None:  # the code goes on without, and fails
        assert "n is missing" in ended(serve, tmp_path, code, {})[0]
        return
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "sample.json").write_text("{}")
    (warning,) = serve(code).messages(level="WARNING")
    assert warning == f"no warm-up: predict asked for {missing} (query parameter or header), which no sample has"


def test_a_failing_sample_may_be_left_out_or_be_another_file(tmp_path: Path) -> None:
    code = PREDICT.format(arguments="payload", body="return 1 / payload['x']")
    for warmup, sample in ((False, {"x": 0}), ("good.json", {"x": 0})):
        project = write_project(tmp_path / "project", code, warmup=warmup)
        (project / "sample.json").write_text(json.dumps(sample))
        (project / "good.json").write_text('{"x": 1}')
        with running([str(project), "--listen", "127.0.0.1:0"]) as replica:
            assert replica.post({"x": 2}).json() == 0.5
            assert replica.get("/api").json()["sample"] == sample


def test_an_answer_that_is_raised_may_be_good(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "sample.json").write_text("{}")
    replica = serve(PREDICT.format(arguments="payload", body="raise falcon.HTTPStatus(204)"))
    assert not replica.messages(level="WARNING")


def test_warm_up_begins_streams_and_gives_every_item_a_payload_of_its_own(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "sample.json").write_text('{"x": 1}')
    replica = serve(
        """
        import itertools
        class PythonPredictor:
            def __init__(self, config): self.log = []
            def predict(self, payload):
                return [self.stream(item.pop("x")) for item in payload]
            def stream(self, x):
                try:
                    for n in itertools.count():
                        self.log.append(n)
                        yield ",".join(map(str, self.log)) if x else [1 / 0]
                        if n == 1:
                            return
                finally:
                    self.log.append("end")
        """,
        server_side_batching={"max_batch_size": 2, "batch_interval": 0.01},
    )
    assert not replica.messages(level="WARNING")
    assert replica.post({"x": 1}).text == "0,end,0,end,0,end,0" + "0,end,0,end,0,end,0,1"
