"""A worker process: serves HTTP from its first moment, builds the predictor when the supervisor says so.

The supervisor starts a worker as a fresh interpreter (not forked): no lock, thread or CUDA context of another process
comes along, and a replacement can be started at any time. Orders come as JSON lines on a socket; when the socket
closes, the supervisor is gone and the worker ends.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cortex_serving.access.gate import Gate
from cortex_serving.access.origins import Origins
from cortex_serving.api.app import Application
from cortex_serving.contract import TRACEBACK_EVENT, Variable, dimensions
from cortex_serving.formats import access_keys
from cortex_serving.logs.capture import LineWriter, install
from cortex_serving.metrics.telemetry import Telemetry
from cortex_serving.predictors.predictor import summary, user_traceback
from cortex_serving.predictors.types import by_rules_of_type
from cortex_serving.project import enter
from cortex_serving.replica.child_processes import (
    ForkedChild,
    end_group,
    give_up_at_fork,
    keep_at_exec,
    lead_group,
    outlive_signals,
    waited_for,
)
from cortex_serving.replica.startup import build
from cortex_serving.replica.warm_up import SampleFailed, warm_up
from cortex_serving.replica.whereabouts import whereabouts
from cortex_serving.replica.worker_process import WorkerArguments
from cortex_serving.scheduling.admission import Admission
from cortex_serving.scheduling.batching import Batcher
from cortex_serving.scheduling.thread_pool import Job, ThreadPool
from cortex_serving.server.connection_passing import Neighbours
from cortex_serving.server.event_loop import make_loop
from cortex_serving.server.leader_follower import make_runner
from cortex_serving.server.server import ServingServer
from cortex_serving.shared_state import Board, State
from cortex_serving.spec import ApiSpec, parse_spec

PATIENCE_AT_END = 2.0  # seconds for what a predictor has started to end by itself


class Worker:
    """One worker process: puts its parts together, and obeys the supervisor.

    Args:
        arguments: From the supervisor.
        spec: The API.
    """

    def __init__(self, arguments: WorkerArguments, spec: ApiSpec) -> None:
        self._spec = spec
        self._revision = arguments.revision
        self._control = socket.socket(fileno=arguments.control)
        self._writer = LineWriter(arguments.lines, arguments.index)
        self._finish_lines = install(self._writer)
        logging.getLogger().setLevel(spec.predictor.log_level.upper())
        board = Board(arguments.board, arguments.workers)
        self._slot = board.slot(arguments.index)
        self._forked_child = ForkedChild(self._slot.detach, self._finish_lines)
        self._dimensions = dimensions(os.environ.get(Variable.CLUSTER, ""), spec.name)
        self._telemetry = Telemetry(self._dimensions, self._writer, arguments.index, spec.predictor.access_log)
        origins = Origins(spec.cors, os.environ.get(Variable.BASE_URL, ""))
        self._gate = Gate(spec.name, origins, asks_for_key=spec.asks_for_key)
        self._application = Application(spec, arguments.revision, board, self._writer, self._telemetry, origins=origins)
        batching = spec.predictor.batching is not None
        self._predict = ThreadPool("predict", spec.predictor.threads, self._forked_child.end)
        self._batch = ThreadPool("batch", 1, self._forked_child.end) if batching else None
        loop = make_loop(fast=arguments.fast)
        self._runner = make_runner(loop, self._predict, self._forked_child.end)
        self._server = ServingServer(
            self._application,
            socket.socket(fileno=arguments.listener),
            Admission(
                board,
                self._slot,
                spec.max_replica_concurrency,
                runner=self._runner,
                control=ThreadPool("control", 1, self._forked_child.end),
                enlist=self._application.enlist if batching else None,
                abandoned=self._application.abandoned,
                client_timeout=arguments.client_timeout,
            ),
            loop=loop,
            runner=self._runner,
            board=board,
            slot=self._slot,
            max_body_bytes=spec.limits.size,
            body_memory=spec.limits.waiting,
            gate=None if self._gate.is_open else self._gate,
            fast=arguments.fast,
            client_timeout=arguments.client_timeout,
            neighbours=_neighbours(arguments, board, spec.predictor.threads),
            inbox=socket.socket(fileno=arguments.inbox),
        )
        self._deadline = float("inf")
        self._models: dict[str, list[str]] = {}  # as the supervisor knows them
        self._loader: int | None = None  # the thread that builds the predictor
        self._project = Path()
        keep_at_exec(arguments.descriptors)
        own = (arguments.listener, arguments.control, arguments.inbox, *arguments.outboxes)
        give_up_at_fork(lambda: (*own, *self._server.active_channels))

    def run(self) -> None:
        """Serve until told to stop."""
        self._telemetry.start()
        threading.Thread(target=self._obey, name="orders", daemon=True).start()
        self._server.serve()
        if cut_off := self._server.finish(self._deadline):
            message = f"the time to stop is over: the answers on {cut_off} connections are cut off"
            self._writer.log("WARNING", message, event="cut_off")
        self._predict.finish(max(0.0, self._deadline - time.monotonic()))
        self._telemetry.report()
        self._finish_lines()
        threading.Thread(target=self._tell_what_is_waited_for, name="end", daemon=True).start()

    def _tell_what_is_waited_for(self) -> None:
        """Warn about threads and processes that Python waits for: each update would cost the whole stop timeout."""
        time.sleep(PATIENCE_AT_END)
        names = [each.name for each in waited_for()]
        if names:
            waited = "everything is answered, but threads or processes of the predictor have not ended"
            message = f"{waited}: {', '.join(names)}; nobody waits for those that are started with daemon=True"
            self._writer.log("WARNING", message, event="waiting")

    def _tell_models(self, models: Callable[[], dict[str, list[str]]]) -> list[bytes]:
        """Tell which models are served, when that has changed. A source of lines, which has none."""
        found = models()
        if found != self._models:
            self._models = found
            with contextlib.suppress(OSError):  # the supervisor is gone
                self._tell(event="models", models=found)
        return []

    def _tell(self, **message: Any) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")

    def _obey(self) -> None:
        # Not only the end: a supervisor that is killed before it has read everything resets the connection.
        with contextlib.suppress(OSError), self._control.makefile("r", encoding="utf-8") as orders:
            for text in orders:
                order = json.loads(text)
                if order["do"] == "load":
                    pool = self._batch or self._predict
                    pool.put(Job(partial(self._load, Path(order["project"]))))
                elif order["do"] == "where":
                    self._tell(event="where", place=whereabouts(self._loader, self._project))
                elif order["do"] == "keys":
                    self._gate.know(access_keys.read(Path(order["file"]).read_bytes()) if order["file"] else None)
                elif order["do"] == "drain":
                    self._server.drain()
                elif order["do"] == "stop":
                    self._deadline = time.monotonic() + order["timeout"]
                    self._server.stop()
        end_group(os.getpid())  # the supervisor is gone: nobody would stop this process, or read its logs

    def _load(self, project: Path) -> None:
        """Build the predictor and warm it up; on the thread that will run it."""
        self._loader, self._project = threading.get_ident(), project
        try:
            enter(project, self._spec.predictor.python_path, os.environ)
            built = build(
                self._spec,
                self._revision,
                project,
                dimensions=self._dimensions,
                counters=self._telemetry.counters,
                put=self._runner.put,
                batch_failed=self._application.batch_failed,
            )
            self._forked_child.end()
            self._slot.state = State.WARMING
            self._tell(event="warming")
            warm_up(self._spec.predictor, built.serving, project)
            self._forked_child.end()
        except BaseException as error:  # sys.exit, a cancelled task of asyncio: whatever it was, it is not ready
            self._not_ready(error, project)
            return
        # What was built stays for good: the garbage collector need not walk through it again and again.
        gc.collect()
        gc.freeze()
        self._telemetry.sources += (*built.metric_sources, partial(self._tell_models, built.models))
        self._tell_models(built.models)
        self._application.serving = built.serving
        if built.batcher is not None and self._batch is not None:
            self._batch.put(Job(partial(self._run_batches, built.batcher)))
        self._slot.state = State.READY
        self._tell(event="ready")
        self._server.now_ready()

    def _not_ready(self, error: BaseException, project: Path) -> None:
        by_sample = isinstance(error, SampleFailed)
        cause = error.__cause__ if by_sample else error
        self._forked_child.end(cause or error)
        self._slot.state = State.FAILED
        if cause is not None:  # the answer that a sample got has no traceback
            self._writer.log("ERROR", user_traceback(cause, project), source="replica", event=TRACEBACK_EVENT)
        self._tell(event="failed", reason=str(error) if by_sample else summary(error))

    def _run_batches(self, batcher: Batcher[Any]) -> None:
        while True:
            batcher.run_batch()
            self._forked_child.end()


def _neighbours(arguments: WorkerArguments, board: Board, capacity: int) -> Neighbours | None:
    """The other workers of the replica; None if there are none."""
    if arguments.workers == 1:
        return None
    outboxes = [socket.socket(fileno=descriptor) for descriptor in arguments.outboxes]
    return Neighbours(board, arguments.index, capacity, outboxes)


def main() -> None:
    """Run a worker: the entry point of its interpreter (``worker_process``)."""
    lead_group()
    outlive_signals()
    faulthandler.enable(file=2)
    arguments = WorkerArguments(**json.loads(os.environ.pop(Variable.WORKER)))
    spec = by_rules_of_type(parse_spec(json.loads(Path(arguments.spec).read_text())))
    Worker(arguments, spec).run()
    with contextlib.suppress(Exception):  # whatever stream a predictor has put there
        sys.stdout.flush()
