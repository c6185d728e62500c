"""A worker process: serves HTTP from its first moment, builds the predictor when the supervisor says so.

It is started by the supervisor as a fresh interpreter (not forked): no lock, thread or CUDA context of another process
comes along, and a replacement can be started at any time. It takes its orders as JSON lines on a socket; when
that socket closes, the supervisor is gone and the worker ends.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from cortex_serving.api.app import Application
from cortex_serving.contract import TRACEBACK_EVENT, Variable, dimensions
from cortex_serving.logs.capture import LineWriter, install
from cortex_serving.metrics.telemetry import Telemetry
from cortex_serving.predictors.predictor import summary, user_traceback
from cortex_serving.project import enter
from cortex_serving.replica.birth import Birth
from cortex_serving.replica.child_processes import (
    end_group,
    give_up_at_fork,
    keep_at_exec,
    lead_group,
    outlive_signals,
    waited_for,
)
from cortex_serving.replica.startup import build, warm_up
from cortex_serving.scheduling.admission import Dispatcher, Job, Lane
from cortex_serving.server import chosen
from cortex_serving.server.connection_passing import Neighbours
from cortex_serving.server.server import ServingServer
from cortex_serving.shared_state import Board, Slot, State
from cortex_serving.spec import ApiSpec, parse_spec

PATIENCE_AT_END = 2.0  # seconds for what a predictor has started to end by itself


class Worker:
    """One worker process."""

    def __init__(self, birth: Birth, spec: ApiSpec) -> None:
        self._spec = spec
        self._revision = birth.revision
        self._control = socket.socket(fileno=birth.control)
        self._writer = LineWriter(birth.lines, birth.index)
        self._finish_lines = install(self._writer)
        board = Board(birth.board, birth.workers)
        self._slot: Slot = board.slot(birth.index)
        self._dimensions = dimensions(os.environ.get(Variable.CLUSTER, ""), spec.name)
        self._telemetry = Telemetry(self._dimensions, self._writer, birth.index, spec.predictor.access_log)
        self._application = Application(spec, birth.revision, board, self._writer, self._telemetry)
        self._dispatcher = Dispatcher(board, self._slot, spec.max_replica_concurrency, spec.predictor.threads)
        self._batch_lane = Lane("batch", 1) if spec.predictor.batching else None
        self._server = ServingServer(
            self._application,
            socket.socket(fileno=birth.listener),
            self._dispatcher,
            board=board,
            worker=birth.index,
            max_body_bytes=spec.predictor.max_body_bytes,
            changes=chosen(os.environ.get(Variable.HTTP)),
        )
        if birth.workers > 1:
            outboxes = [socket.socket(fileno=descriptor) for descriptor in birth.outboxes]
            neighbours = Neighbours(board, birth.index, spec.predictor.threads, outboxes)
            self._server.join(neighbours, socket.socket(fileno=birth.inbox))
        self._deadline = float("inf")
        keep_at_exec(birth.descriptors)
        own = (birth.listener, birth.control, birth.inbox, *birth.outboxes)
        give_up_at_fork(lambda: (*own, *self._server.active_channels))
        self._is_child = False
        os.register_at_fork(after_in_child=self._become_child)

    def run(self) -> None:
        """Serve until told to stop."""
        self._telemetry.start()
        threading.Thread(target=self._obey, name="orders", daemon=True).start()
        self._server.serve()
        if cut_off := self._server.finish(self._deadline):
            message = f"the time to stop is over: the answers on {cut_off} connections are cut off"
            self._writer.log("WARNING", message, event="cut_off")
        self._dispatcher.predict.finish(max(0.0, self._deadline - time.monotonic()))
        self._telemetry.report()
        self._finish_lines()
        threading.Thread(target=self._tell_what_is_waited_for, name="end", daemon=True).start()

    def _tell_what_is_waited_for(self) -> None:
        """Python waits for threads and processes before it ends, which costs each update the whole stop timeout."""
        time.sleep(PATIENCE_AT_END)
        names = [each.name for each in waited_for()]
        if names:
            waited = "everything is answered, but threads or processes of the predictor have not ended"
            message = f"{waited}: {', '.join(names)}; nobody waits for those that are started with daemon=True"
            self._writer.log("WARNING", message, event="waiting")

    def _tell(self, **message: Any) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")

    def _obey(self) -> None:
        # Not only the end: a supervisor that is killed before it has read everything resets the connection.
        with contextlib.suppress(OSError), self._control.makefile("r", encoding="utf-8") as orders:
            for text in orders:
                order = json.loads(text)
                if order["do"] == "load":
                    lane = self._batch_lane or self._dispatcher.predict
                    lane.put(Job(partial(self._load, Path(order["project"]))))
                elif order["do"] == "drain":
                    self._server.draining = True
                elif order["do"] == "stop":
                    self._deadline = time.monotonic() + order["timeout"]
                    self._server.stop()
        end_group(os.getpid())  # the supervisor is gone: nobody would stop this process, or read its logs

    def _become_child(self) -> None:
        """A forked child is no worker: when the predictor's code returns, by whatever way, it ends."""
        self._is_child = True
        self._dispatcher.leave = lambda seconds: self._end_if_child()  # type: ignore[method-assign]

    def _end_if_child(self, error: BaseException | None = None) -> None:
        if not self._is_child:
            return
        if error is not None and not isinstance(error, SystemExit):
            sys.excepthook(type(error), error, error.__traceback__)
        self._finish_lines()
        code = error.code if isinstance(error, SystemExit) else error and 1
        os._exit(code if isinstance(code, int) else code is not None)

    def _load(self, project: Path) -> None:
        """Build the predictor and warm it up; on the thread that will run it."""
        try:
            enter(project, self._spec.predictor.python_path, os.environ)
            built = build(
                self._spec,
                self._revision,
                project,
                dimensions=self._dimensions,
                counters=self._telemetry.counters,
                put=self._dispatcher.put,
                batch_failed=self._application.batch_failed,
            )
            self._end_if_child()
            self._slot.state = State.WARMING
            self._tell(event="warming")
            warm_up(self._spec.predictor, built.serving, project)
            self._end_if_child()
        except BaseException as error:  # sys.exit, a cancelled task of asyncio: whatever it was, it is not ready
            self._end_if_child(error)
            self._slot.state = State.FAILED
            self._writer.log("ERROR", user_traceback(error, project), source="replica", event=TRACEBACK_EVENT)
            self._tell(event="failed", reason=summary(error))
            return
        # What was built stays for good: the garbage collector need not walk through it again and again.
        gc.collect()
        gc.freeze()
        self._telemetry.sources += built.metric_sources
        self._application.serving = built.serving
        if built.batcher is not None and self._batch_lane is not None:
            self._dispatcher.enlist = self._application.enlist
            self._batch_lane.put(Job(built.batcher.run))
        self._slot.state = State.READY
        self._tell(event="ready")
        self._server.now_ready()


def main() -> None:
    """Entry point of a worker's interpreter (``workers``)."""
    lead_group()
    outlive_signals()
    faulthandler.enable(file=2)
    birth = Birth(**json.loads(os.environ.pop(Variable.WORKER)))
    spec = parse_spec(json.loads(os.environ[Variable.SPEC]))
    Worker(birth, spec).run()
    with contextlib.suppress(Exception):  # whatever stream a predictor has put there
        sys.stdout.flush()
