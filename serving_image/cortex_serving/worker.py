"""A worker process: serves HTTP from its first moment, builds the predictor when the supervisor says so.

It is started by the supervisor as a fresh interpreter (not forked): no lock, thread or CUDA context of another process
comes along, and a replacement can be started at any time. It takes its orders as JSON lines on a socket; when
that socket closes, the supervisor is gone and the worker ends.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from cortex_serving.app import Application, Identity
from cortex_serving.birth import Birth
from cortex_serving.board import Board, Slot, State
from cortex_serving.dispatcher import Dispatcher, Job
from cortex_serving.handover import Neighbours
from cortex_serving.logs.capture import LineWriter, install
from cortex_serving.predictor import Predictor, load_class, summary, user_traceback
from cortex_serving.project import enter
from cortex_serving.server import ServingServer
from cortex_serving.spec import ApiSpec, parse_spec


class Worker:
    """One worker process."""

    def __init__(self, birth: Birth, spec: ApiSpec) -> None:
        self._spec = spec
        self._control = socket.socket(fileno=birth.control)
        self._writer = LineWriter(birth.lines, birth.index)
        install(self._writer)
        board = Board(birth.board, birth.workers)
        self._slot: Slot = board.slot(birth.index)
        identity = Identity(spec.name, birth.revision)
        self._application = Application(spec, identity, board, self._slot, self._writer)
        self._dispatcher = Dispatcher(board, self._slot, spec.max_replica_concurrency, spec.predictor.threads)
        self._application.dispatcher = self._dispatcher
        listener = socket.socket(fileno=birth.listener)
        self._server = ServingServer(
            self._application,
            listener,
            self._dispatcher,
            board=board,
            worker=birth.index,
            max_body_bytes=spec.predictor.max_body_bytes,
        )
        if birth.workers > 1:
            outboxes = [socket.socket(fileno=descriptor) for descriptor in birth.outboxes]
            neighbours = Neighbours(board, birth.index, spec.predictor.threads, outboxes)
            self._server.join(neighbours, socket.socket(fileno=birth.inbox))
        self._deadline = float("inf")

    def run(self) -> None:
        """Serve until told to stop."""
        threading.Thread(target=self._obey, name="orders", daemon=True).start()
        self._tell(event="started")
        self._server.serve()
        self._server.finish(self._deadline)
        self._dispatcher.predict.finish(max(0.0, self._deadline - time.monotonic()))

    def _tell(self, **message: Any) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")

    def _obey(self) -> None:
        with self._control.makefile("r", encoding="utf-8") as orders:
            for text in orders:
                order = json.loads(text)
                if order["do"] == "load":
                    self._dispatcher.predict.put(Job(partial(self._load, Path(order["project"]))))
                elif order["do"] == "drain":
                    self._server.draining = True
                elif order["do"] == "stop":
                    self._deadline = time.monotonic() + order["timeout"]
                    self._server.stop()
        os._exit(1)  # the supervisor is gone: nobody would stop this process, or read its logs

    def _load(self, project: Path) -> None:
        """Build the predictor; on a thread of the predict lane."""
        self._application.project = project
        try:
            enter(project, self._spec.predictor.python_path, os.environ)
            predictor = Predictor(load_class(self._spec.predictor, project), self._spec.predictor, None)
        except (Exception, SystemExit) as error:
            self._slot.state = State.FAILED
            self._tell(event="failed", reason=summary(error), traceback=user_traceback(error, project))
            return
        self._application.predictor = predictor
        self._slot.state = State.READY
        self._tell(event="ready")
        self._server.wake()


def main() -> None:
    """Entry point of ``python -m cortex_serving.worker``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all: the supervisor decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable(file=2)
    birth = Birth(**json.loads(os.environ.pop("CORTEX_WORKER")))
    spec = parse_spec(json.loads(os.environ["CORTEX_SPEC"]))
    Worker(birth, spec).run()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
