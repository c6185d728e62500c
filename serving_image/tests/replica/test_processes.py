"""Processes that a predictor starts: signals, what they inherit, functions of the predictor's file in them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from tests.conftest import SERVE, Replica, Serve, eventually, running, task, write_project

CHILDREN = """
import multiprocessing, os, signal, subprocess, time

def rest():
    time.sleep(100)

def kinds():
    yield "subprocess", subprocess.Popen(["sleep", "100"])
    for method in ("fork", "spawn", "forkserver"):
        child = multiprocessing.get_context(method).Process(target=rest)
        child.start()
        yield method, child

class PythonPredictor:
    def __init__(self, config): pass
    def predict(self):
        codes = {}
        for kind, child in kinds():
            child.terminate()
            if kind == "subprocess":
                codes[kind] = child.wait(20)
            else:
                child.join(20)
                codes[kind] = child.exitcode
                child.kill()
        return codes
"""


def test_processes_that_a_predictor_starts_can_be_terminated(serve: Serve) -> None:
    replica = serve(CHILDREN)
    codes = replica.post().json()
    assert codes == dict.fromkeys(["subprocess", "fork", "spawn", "forkserver"], -signal.SIGTERM)
    assert replica.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_outlives_a_signal_to_all_processes(serve: Serve, number: signal.Signals) -> None:
    replica = serve(
        """
        import os, time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self, payload):
                time.sleep(payload)
                return str(os.getpid())
        """
    )
    worker = int(replica.post(0).text)
    os.kill(worker, number)
    assert int(replica.post(0.2).text) == worker
    assert replica.get().json()["restarts"] == 0
    assert replica.stop() == 0


def test_a_forked_child_holds_neither_the_port_nor_connections(serve: Serve) -> None:
    replica = serve(
        """
        import os, time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                child = os.fork()
                if child == 0:
                    os.setsid()  # it does not end with the worker
                    time.sleep(100)
                    os._exit(0)
                return str(child)
        """
    )
    host, port = replica.address.removeprefix("http://").split(":")
    with replica.connect() as connection:
        connection.sendall(b"POST /api HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := connection.recv(65536):  # until the server's end is closed, in every process
            answer += data
    child = int(answer.rpartition(b"\r\n")[2])
    try:
        assert replica.stop() == 0
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, int(port)))
    finally:
        os.kill(child, signal.SIGKILL)


SPREAD = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    def __post_init__(self):
        self.where = os.getcwd()

def double(point):
    return Point(point.x * 2)

class PythonPredictor:
    def __init__(self, config):
        import other
        assert other.Point is Point
    def predict(self, payload):
        values = []
        for method in ("fork", "spawn", "forkserver"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
                point = pool.submit(double, Point(payload)).result(20)
            assert type(point) is Point and point.where == os.getcwd(), point.where
            values.append(point.x)
        return {"values": values, "module": __name__, "file": __file__}
"""


@pytest.mark.parametrize(
    ("path", "python_path", "module"),
    [
        ("predictor.py", None, "predictor"),
        ("my-predictor.py", None, "my-predictor"),
        ("apis/text-gen/predictor.py", None, "apis.text-gen.predictor"),
        ("src/app/predictor.py", "src", "app.predictor"),
        ("v1.2/predictor.py", None, "cortex_serving.predictors.loaded_by_path"),
        ("apis/predictor.py", "src", "cortex_serving.predictors.loaded_by_path"),
        ("json.py", None, "cortex_serving.predictors.loaded_by_path"),
    ],
)
def test_functions_of_the_predictors_file_are_found_in_other_processes(
    tmp_path: Path, path: str, python_path: str | None, module: str
) -> None:
    project = write_project(tmp_path / "project", "", path=path, python_path=python_path)
    (project / "predictor.py").unlink()
    file = project / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SPREAD)
    other = project / (python_path or "") / "other.py"
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text(f"import importlib; Point = importlib.import_module({module!r}).Point\n")
    with running([str(project), "--listen", "127.0.0.1:0"]) as replica:
        answer = replica.post(2)
        assert answer.status_code == 200, replica.log()
        assert answer.json() == {"values": [4, 4, 4], "module": module, "file": str(file)}
        assert len(replica.messages(event="ready")) == 1
        assert replica.stop() == 0


BUILDING = """
import time

class PythonPredictor:
    def __init__(self, config):
        print("building")
        {in_init}
    def predict(self, payload):
        print("warming")
        time.sleep(100)
"""


@pytest.mark.parametrize("phase", ["building", "warming"])
def test_a_replica_that_is_not_ready_yet_stops_at_once(tmp_path: Path, phase: str) -> None:
    wait = "time.sleep(100)" if phase == "building" else "pass"
    project = write_project(tmp_path / "project", BUILDING.format(in_init=wait))
    (project / "sample.json").write_text("1")
    environ = task(project, stop_timeout=90)  # longer than `stop` has patience: it is not waited for
    with running([], environ, ready=False) as replica:
        eventually(lambda: phase in replica.messages(source="stdout"))
        assert replica.stop() == 0
        assert replica.lines[-1]["event"] == "stopped"


ENDLESS = """
import multiprocessing, threading, time
from concurrent import futures

def rename():
    threading.current_thread().name = "endless"

class PythonPredictor:
    def __init__(self, config):
        threading.Thread(target=time.sleep, args=(100,), name="mine").start()  # a daemon, as its parent
        {}
    def predict(self): pass
"""


@pytest.mark.parametrize(
    "start",
    [
        "threading.Thread(target=time.sleep, args=(100,), name='endless', daemon=False).start()",
        "multiprocessing.Process(target=time.sleep, args=(20,), name='endless').start()",
        "futures.ThreadPoolExecutor(1, initializer=rename).submit(time.sleep, 100)",
    ],
)
def test_a_replica_ends_in_time_and_says_what_it_waits_for(tmp_path: Path, start: str) -> None:
    project = write_project(tmp_path / "project", ENDLESS.format(start))
    with running([], task(project, stop_timeout=11)) as replica:
        assert replica.stop() == 0
        [waiting] = replica.messages(event="waiting")
        assert "have not ended: endless;" in waiting
        assert replica.messages(event="worker_killed") == ["worker 0 did not end in time and is killed"]


FILLING = """
import os, resource, time
class PythonPredictor:
    def __init__(self, config):
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    def predict(self, payload):
        files = []
        try:
            while payload == "fill":
                files.append(open(os.devnull))
        except OSError:
            os.mkdir("full")
        while files and not os.path.exists("go"):
            time.sleep(0.01)
        return "done"
"""


def test_a_worker_without_a_file_descriptor_says_so_and_takes_up_again(serve: Serve, tmp_path: Path) -> None:
    project = tmp_path / "project"
    replica = serve(FILLING)
    idle = replica.connect()
    idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert idle.recv(15) == b"HTTP/1.1 200 OK"
    filling = threading.Thread(target=replica.post, args=("fill",))
    filling.start()
    eventually((project / "full").exists)
    with replica.connect() as probe:  # an idle connection makes room for it
        probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert probe.recv(15) == b"HTTP/1.1 200 OK"
        with replica.connect() as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            (project / "go").touch()
            assert other.recv(15) == b"HTTP/1.1 200 OK"
    idle.close()
    filling.join()
    [message] = replica.messages(logger="cortex_serving.server.accept_backoff")
    assert message.endswith("Too many open files: close files, this process may have 100 open")


def test_what_a_worker_has_started_ends_with_it(serve: Serve) -> None:
    replica = serve(
        """
        import multiprocessing, os, subprocess, time
        class PythonPredictor:
            def __init__(self, config):
                forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(100,), daemon=True)
                forked.start()
                self.started = [forked.pid, subprocess.Popen(["sleep", "100"]).pid]
            def predict(self, payload):
                if payload == "die":
                    os.abort()
                return self.started
        """
    )
    first = replica.post().json()
    with pytest.raises(requests.ConnectionError):
        replica.post("die")
    replica.wait_for("worker_ready")
    second = replica.post().json()
    assert not any(map(alive, first))
    assert all(map(alive, second))
    assert replica.stop() == 0
    assert not any(map(alive, second))


def test_what_a_worker_has_started_ends_with_the_supervisor(serve: Serve) -> None:
    replica = serve(
        """
        import subprocess
        class PythonPredictor:
            def __init__(self, config):
                self.started = subprocess.Popen(["sleep", "100"]).pid
            def predict(self):
                return str(self.started)
        """
    )
    started = int(replica.post().text)
    replica.process.kill()
    eventually(lambda: not alive(started))


def test_a_worker_ends_with_a_supervisor_that_did_not_read_its_answer(serve: Serve, tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    replica = serve(
        f"""
        import os, time
        class PythonPredictor:
            def __init__(self, config):
                open({str(mark)!r}, "w").write(str(os.getpid()))
                while not os.path.exists({str(gate)!r}):
                    time.sleep(0.01)
            def predict(self):
                return "ok"
        """,
        ready=False,
    )
    replica.wait_for("listening")
    worker = int(eventually(lambda: mark.exists() and mark.read_text()))
    replica.process.send_signal(signal.SIGSTOP)
    gate.touch()
    eventually(lambda: replica.post().text == "ok")
    replica.process.kill()
    eventually(lambda: not alive(worker))


ADOPTING = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.execv(sys.executable, sys.argv[1:])"


def test_process_1_of_a_container_buries_what_it_inherits(tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project",
        """
        import subprocess
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                return subprocess.check_output("sleep 0.2 >/dev/null & echo $!", shell=True)
        """,
    )
    command = [sys.executable, "-c", ADOPTING, *SERVE, str(project), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        replica = Replica(process)
        replica.wait_for("ready")
        orphan = int(replica.post().content)
        eventually(lambda: not Path(f"/proc/{orphan}").exists())
        assert replica.stop() == 0
    finally:
        process.kill()
        process.wait()


def alive(process: int) -> bool:
    """Whether a process has not ended (a zombie has: nobody may be there to wait for it)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
