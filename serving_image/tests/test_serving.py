"""A predictor behind HTTP: payloads, responses, errors, health."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Replica, Serve, eventually, running

ECHO = """
class PythonPredictor:
    def __init__(self, config):
        self.config = config

    def predict(self, payload, query_params, headers, batch_id):
        return {
            "payload": payload.decode() if isinstance(payload, bytes) else payload,
            "kind": type(payload).__name__,
            "query": dict(query_params),
            "header": headers["X-Mine"] if "X-Mine" in headers else None,
            "batch_id": batch_id,
            "config": self.config,
        }
"""


def test_json_query_and_headers_reach_predict(serve: Serve) -> None:
    replica = serve(ECHO, config={"depth": 3})
    answer = replica.post({"a": 1}, path="/api/below?x=1&y=", headers={"X-Mine": "yes"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "payload": {"a": 1},
        "kind": "dict",
        "query": {"x": "1", "y": ""},
        "header": "yes",
        "batch_id": None,
        "config": {"depth": 3},
    }
    assert answer.headers["X-Cortex-Api"] == "api"
    assert answer.headers["X-Cortex-Revision"] == "local"
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "image/png", ""])
def test_other_content_types_arrive_as_bytes(serve: Serve, content_type: str) -> None:
    answer = serve(ECHO).post(data=b"raw", headers={"Content-Type": content_type}).json()
    assert (answer["payload"], answer["kind"]) == ("raw", "bytes")


@pytest.mark.parametrize("body", [b"", b"{", b"[1,]", b'"\xff"', b"NaN", b"[Infinity]", b"[" * 100_000])
def test_bad_json_is_a_400_with_a_reason(serve: Serve, body: bytes) -> None:
    replica = serve(ECHO)
    answer = replica.post(data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "not valid JSON" in answer.json()["error"]
    assert replica.post(1).status_code == 200


def test_an_exception_is_a_500_and_its_traceback_is_the_users(serve: Serve) -> None:
    replica = serve(
        """
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                return 1 / payload
        """
    )
    answer = replica.post(0, headers={"X-Request-Id": "mine-1"})
    assert (answer.status_code, answer.json()) == (500, {"error": "internal server error", "request_id": "mine-1"})
    [message] = eventually(lambda: replica.messages(level="ERROR", request_id="mine-1"))
    assert message.startswith('Traceback (most recent call last):\n  File "')
    assert "in predict" in message.splitlines()[1]
    assert "cortex_serving" not in message
    assert message.endswith("ZeroDivisionError: division by zero")


def test_get_describes_and_other_verbs_are_refused(serve: Serve) -> None:
    replica = serve(ECHO)
    # By the path of the request: a splitter's endpoint, or a new one, which no replica was started with, is as good.
    for path, endpoint in {
        "/api": "/api",
        "/api/": "/api",
        "/splitter": "/splitter",
        "/new/a/": "/new/a",
        "/": "/",
    }.items():
        assert replica.get(path).json()["message"] == f"make a prediction by sending a POST request to {endpoint}"
        document = replica.get(path.rstrip("/") + "/openapi.json").json()
        assert list(document["paths"]) == [endpoint]
    for path in ("/api/status", "/api/v1/models", "/api/deeper/openapi.json"):
        answer = replica.get(path)
        assert answer.status_code == 404
        assert answer.json() == {"error": f"there is nothing at {path}: GET /api describes the API"}
        assert replica.session.head(replica.address + path, timeout=5).status_code == 404
    answer = replica.session.delete(replica.address + "/api", timeout=5)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST, OPTIONS")


def test_health_is_answered_while_the_predictor_is_busy(serve: Serve) -> None:
    replica = serve(
        """
        import time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                time.sleep(2)
                return "done"
        """
    )
    answers = []
    thread = threading.Thread(target=lambda: answers.append(replica.post().text))
    thread.start()
    eventually(lambda: replica.get().json()["in_flight"] == 1)
    assert replica.get().status_code == 200
    assert not answers
    thread.join()
    assert answers == ["done"]


def test_not_ready_until_the_predictor_is_built(serve: Serve, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    replica = serve(
        f"""
        import os, time
        class PythonPredictor:
            def __init__(self, config):
                while not os.path.exists({str(gate)!r}):
                    time.sleep(0.01)
            def predict(self):
                return "ok"
        """,
        ready=False,
    )
    replica.wait_for("listening")
    answer = replica.get()
    assert answer.status_code == 503
    assert answer.json()["state"] == "starting"
    assert replica.get("/healthz").status_code == 200
    refused = replica.post()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    gate.touch()
    replica.wait_for("ready")
    assert replica.get().status_code == 200
    assert replica.post().text == "ok"


def test_sigterm_finishes_what_has_arrived(serve: Serve) -> None:
    replica = serve(
        """
        import time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                time.sleep(0.5)
                return str(payload)
        """
    )
    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(replica.post(n).text)) for n in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: replica.get().json()["in_flight"] == 4)
    replica.process.send_signal(signal.SIGTERM)
    replica.wait_for("draining")
    unready = replica.get()
    assert (unready.status_code, unready.json()["state"]) == (503, "draining")
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["0", "1", "2", "3"]
    assert replica.stop() == 0
    assert replica.lines[-1]["event"] == "stopped"


def test_a_dead_worker_is_replaced(serve: Serve) -> None:
    replica = serve(
        """
        import os
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                return str(os.getpid())
        """,
        processes_per_replica=2,
    )
    victim = int(replica.post().text)
    os.kill(victim, signal.SIGKILL)
    replica.wait_for("worker_died")
    assert replica.get().json()["restarts"] == 1
    replica.wait_for("worker_ready")
    eventually(lambda: replica.get().json()["workers"] == ["ready", "ready"])
    seen: set[int] = set()

    def both_answered() -> bool:
        seen.add(_fresh(replica))
        return len(seen) == 2

    eventually(both_answered)
    assert victim not in seen


def _fresh(replica: Replica) -> int:
    replica.session.close()
    return int(replica.post().text)


def test_a_worker_that_cannot_be_replaced_ends_the_replica(serve: Serve) -> None:
    replica = serve(
        """
        import os
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                return str(os.getpid())
        """
    )
    victim = int(replica.post().text)
    resource.prlimit(replica.process.pid, resource.RLIMIT_NOFILE, (4, 4))
    os.kill(victim, signal.SIGKILL)
    assert replica.process.wait(20) == 1
    replica.stop()
    assert replica.lines[-1]["message"] == "cannot start worker 0: Too many open files"
    assert not replica.broken


def test_a_crash_loop_ends_the_replica(serve: Serve) -> None:
    replica = serve(
        """
        import os, sys
        class PythonPredictor:
            def __init__(self, config):
                sys.__stderr__.write("library says: out of cheese\\n")
                os.abort()
            def predict(self): pass
        """,
        ready=False,
    )
    assert replica.process.wait(60) == 1
    replica.stop()
    assert "workers died within" in replica.lines[-1]["message"]
    assert any("Fatal Python error: Aborted" in text for text in replica.messages(source="stderr"))


def test_post_predict_runs_after_the_response(serve: Serve, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    replica = serve(
        f"""
        import time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                return [payload]
            def post_predict(self, response, payload):
                time.sleep(0.3)
                open({str(mark)!r}, "w").write(repr((response, payload)))
        """
    )
    start = time.monotonic()
    assert replica.post(5).json() == [5]
    assert not mark.exists(), f"post_predict delayed the response: {time.monotonic() - start} s"
    eventually(mark.exists)
    eventually(lambda: mark.read_text() == "([5], 5)")


def test_usage_errors_are_one_line(tmp_path: Path) -> None:
    with running([str(tmp_path)], ready=False) as replica:
        assert replica.process.wait(20) == 1
        replica.stop()
        [text] = replica.broken
        assert b"cortex.yaml" in text


def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "cortex.yaml").write_text("- {name: api, kind: RealtimeAPI, predictor: {type: python, path: p.py}}")
    with socket.create_server(("127.0.0.1", 0)) as other:  # noqa: SIM117
        with running([str(tmp_path), "--listen", f"127.0.0.1:{other.getsockname()[1]}"], ready=False) as replica:
            assert replica.process.wait(20) == 1
            replica.stop()
    assert b"Address already in use (--listen 127.0.0.1:0 takes a free port)" in replica.broken[0]


@pytest.mark.parametrize(
    ("configuration", "listen", "said"),
    [
        ("name: api", "127.0.0.1:0", b"is no list of APIs: begin each with '- name: ...'"),
        (
            "- {name: api, kind: RealtimeAPI, predictor: predictor.py}",
            "127.0.0.1:0",
            b"predictor is 'predictor.py', not a mapping",
        ),
        (
            "- {name: api, kind: RealtimeAPI, predictor: {type: python, path: predictor.py}}",
            "127.0.0.1:70000",
            b"write HOST:PORT",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, configuration: str, listen: str, said: bytes) -> None:
    (tmp_path / "cortex.yaml").write_text(configuration)
    with running([str(tmp_path), "--listen", listen], ready=False) as replica:
        assert replica.process.wait(20) == 1
        replica.stop()
        [text] = replica.broken
        assert said in text


@pytest.mark.parametrize(
    ("predictor", "said"),
    [
        ({"processes_per_replica": "two"}, b"processes_per_replica is 'two': give a whole number"),
        ({"server_side_batching": {"max_batch_size": 4}}, b"the field batch_interval is missing"),
        ({"models": ["a"]}, b"does not make sense"),
    ],
)
def test_fields_that_make_no_sense_are_told_in_one_line(serve: Serve, predictor: dict[str, Any], said: bytes) -> None:
    replica = serve(TRACES, ready=False, **predictor)
    assert replica.process.wait(20) == 1
    replica.stop()
    [text] = replica.broken
    assert said in text


TRACES = """
    class PythonPredictor:
        def __init__(self, config, python_client=None):
            self.client = python_client

        def load_model(self, model_path):
            raise ValueError("no weights")

        def predict(self, payload):
            if payload == "model":
                return self.client.get_model("m")
            return self.stream(payload)

        def stream(self, payload):
            yield "one"
            1 / 0
"""


def test_an_error_in_the_middle_of_a_stream_is_logged_once(serve: Serve) -> None:
    replica = serve(TRACES)
    with pytest.raises(requests.RequestException):
        replica.post(1, headers={"X-Request-Id": "cut"})
    assert replica.stop() == 0
    [message] = replica.messages(level="ERROR")
    assert message.splitlines()[1].endswith("in stream")
    assert message.endswith("ZeroDivisionError: division by zero")


def test_what_load_model_raises_is_shown_without_our_frames(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project" / "models").mkdir(parents=True)
    (tmp_path / "project" / "models" / "m").write_text("weights")
    replica = serve(TRACES, models={"cache_size": 1, "paths": [{"name": "m", "model_path": "models/m"}]})
    assert replica.post("model").status_code == 500
    assert replica.stop() == 0
    [message] = replica.messages(level="ERROR")
    lines = [line.strip() for line in message.splitlines() if line.startswith('  File "')]
    assert [line.rsplit(" in ")[-1] for line in lines] == ["predict", "load_model"]


def test_a_batch_items_own_error_is_shown_without_our_frames(serve: Serve) -> None:
    replica = serve(
        """
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                return [self.checked(item) for item in payload]
            def checked(self, item):
                try:
                    return 1 / item
                except ZeroDivisionError as error:
                    return error
        """,
        server_side_batching={"max_batch_size": 2, "batch_interval": "1ms"},
    )
    assert replica.post(0).status_code == 500
    assert replica.post(2).json() == 0.5
    assert replica.stop() == 0
    [message] = replica.messages(level="ERROR")
    assert "cortex_serving" not in message
    assert message.splitlines()[1].endswith("in checked")


def test_a_model_that_is_not_there_is_told_without_our_frames(serve: Serve) -> None:
    replica = serve(TRACES, models={"paths": [{"name": "m", "model_path": "models/m"}]}, ready=False)
    assert replica.process.wait(30) != 0
    [message] = replica.messages(event="traceback")
    assert "cortex_serving/" not in message
    assert message.endswith("there is no model at models/m")
