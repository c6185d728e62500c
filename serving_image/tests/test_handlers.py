"""The class ``Handler`` of Cortex 0.34 and 0.35."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Serve, eventually

HANDLER = """
class Handler:
    def __init__(self, config):
        self.factor = config["factor"]
    def handle_post(self, payload, query_params, headers):
        return {"product": payload * self.factor, "query": query_params["q"], "header": headers["x-h"]}
"""


def test_a_handler_answers_post(serve: Serve) -> None:
    replica = serve(HANDLER, config={"factor": 3})
    answer = replica.post(14, "/api?q=a", headers={"X-H": "b"})
    assert answer.json() == {"product": 42, "query": "a", "header": "b"}


def test_models_of_a_handler(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project" / "model").mkdir(parents=True)
    (tmp_path / "project" / "model" / "weights").write_text("2")
    replica = serve(
        """
        import pathlib
        class Handler:
            def __init__(self, config, model_client):
                self.client = model_client
            def load_model(self, model_path):
                return int(pathlib.Path(model_path, "weights").read_text())
            def handle_post(self, payload):
                return payload * self.client.get_model()
        """,
        multi_model_reloading={"path": "model"},
    )
    assert replica.post(21).json() == 42


def test_payloads_in_batches(serve: Serve) -> None:
    replica = serve(
        """
        class Handler:
            def __init__(self, config): pass
            def handle_post(self, payload):
                return [item * 2 for item in payload]
        """,
        server_side_batching={"max_batch_size": 2, "batch_interval": "1ms"},
    )
    assert replica.post(4).json() == 8


def test_a_handler_without_handle_post(serve: Serve) -> None:
    replica = serve("class Handler:\n    def __init__(self, config): pass\n", ready=False)
    assert replica.process.wait(30) == 1
    replica.stop()
    assert "Handler has no method handle_post: define handle_post(self, payload)" in replica.lines[-1]["message"]


def test_the_log_level(serve: Serve) -> None:
    replica = serve(
        """
        import logging
        class Handler:
            def __init__(self, config): pass
            def handle_post(self, payload):
                for level in ("debug", "info", "warning", "error"):
                    getattr(logging.getLogger("mine"), level)("said as %s", level)
        """,
        log_level="warning",
    )
    replica.post(1)
    replica.stop()
    said = [line["message"] for line in replica.lines if line.get("message", "").startswith("said")]
    assert said == ["said as warning", "said as error"]


def test_plain_text_is_text(serve: Serve) -> None:
    """Since Cortex 0.25; a predictor gets bytes, as before."""
    replica = serve(
        """
        class Handler:
            def __init__(self, config): pass
            def handle_post(self, payload):
                return repr(payload)
        """
    )
    for content_type, body, expected in (
        ("text/plain", "grün".encode(), "'grün'"),
        ("text/plain; charset=latin-1", "grün".encode("latin-1"), "'grün'"),
        ("application/octet-stream", b"a", "b'a'"),
    ):
        assert replica.post(data=body, headers={"Content-Type": content_type}).text == expected
    for content_type in ("text/plain", "text/plain; charset=none"):
        answer = replica.post(data=b"\xff", headers={"Content-Type": content_type})
        assert (answer.status_code, "the body is not text" in answer.text) == (400, True)


def test_a_callback_runs_after_the_answer(serve: Serve) -> None:
    replica = serve(
        """
        class Handler:
            def __init__(self, config): pass
            def handle_post(self, payload):
                def callback():
                    print(f"called after {payload}")
                    1 / payload
                return {"n": payload}, callback
        """
    )
    assert replica.post(2).json() == {"n": 2}
    assert replica.post(0).json() == {"n": 0}
    assert eventually(lambda: replica.messages(source="stdout", message="called after 2"))
    (failure,) = eventually(lambda: replica.messages(level="ERROR"))
    assert failure.startswith("the callback failed")
    assert "ZeroDivisionError" in failure
