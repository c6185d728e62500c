"""The supervisor: the container's main process. Starts workers, replaces them, writes their logs, ends them in order.

One thread runs a loop over signals, the workers' sockets and pipes; everything that changes the supervisor happens on
it. Fetching the project, measuring and waiting for quiet have threads of their own, which post to the loop.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from cortex_serving.access.key_source import KeyWatch, open_source
from cortex_serving.contract import (
    API_HEADER,
    BALANCER_IDLE_TIMEOUT_S,
    COMMAND,
    FATAL_EVENT,
    REVISION_HEADER,
    Variable,
    dimensions,
)
from cortex_serving.errors import ServingError
from cortex_serving.logs.cloudwatch import Shipper
from cortex_serving.logs.lines import are_simple, last_state, lines, repair_line
from cortex_serving.logs.pipeline import Pipeline
from cortex_serving.project import provide
from cortex_serving.replica.child_processes import bury_adopted
from cortex_serving.replica.report import ReplicaReport
from cortex_serving.replica.stand_in import Pulses, StandIn
from cortex_serving.replica.start_watch import StartWatch
from cortex_serving.replica.worker_process import Inboxes, WorkerProcess, cannot_listen, listen
from cortex_serving.server.connection_limit import raise_file_limit
from cortex_serving.settings import Http, Settings
from cortex_serving.shared_state import Board, State

STOP_RESERVE = 5.0  # seconds of the stop timeout that are kept for logs
QUIET = 0.5  # seconds without a request after which a draining replica stops
KILL_AFTER = 0.5  # seconds after a worker's time to stop is up
FLUSH_TIMEOUT = 4.0
CRASHES, CRASH_WINDOW = 5, 60.0  # so many dead workers in so many seconds end the replica
HUNG_AFTER = float(BALANCER_IDLE_TIMEOUT_S)  # seconds without a pulse: by then every client has given up
ABORT_PATIENCE = 2.0  # seconds in which a worker that hangs writes down where
_TICK, _LOOK = 0.05, 0.5


class Supervisor:
    """One replica.

    Args:
        settings: Everything that it is told from outside.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listener = listen(settings.host, settings.port)
        self._board = Board.create(settings.spec.predictor.processes)
        self._inboxes = Inboxes(self._board.workers)
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, WorkerProcess] = {}
        self._project: Path | None = None
        self._temporary = Path(tempfile.mkdtemp(prefix="cortex-")).resolve()
        self._pulses = Pulses(self._board)
        headers = {API_HEADER: settings.spec.name, REVISION_HEADER: settings.revision}
        self._stand_in = StandIn(self._listener, self._selector, self._inboxes, self._board, headers=headers)
        self._next_look = 0.0
        # A file: one environment variable holds 128 KiB, and predictor.config may be larger.
        self._spec_file = self._temporary / "spec.json"
        self._spec_file.write_text(json.dumps(settings.raw_spec))
        self._posted: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        self._crashes: deque[float] = deque(maxlen=CRASHES)
        self._last_words: dict[int, str] = {}
        self._exit_code: int | None = None
        self._stop_at: float | None = None
        group = settings.log_group
        self._pipeline = Pipeline(Shipper(group, settings.revision, settings.metadata_url) if group else None)
        self._report = ReplicaReport(self._board, self._pipeline, dimensions(settings.cluster, settings.spec.name))
        self._start = StartWatch(self._board, settings.spec.predictor.startup_timeout, self._pipeline.log)
        self._keys: Path | None = None  # the file with the API keys, while they are known

    def run(self) -> int:
        """Run the replica until it is stopped or fails; returns the exit code."""
        self._board.set_state(State.STARTING, "starting")
        self._catch_signals()
        for index in range(self._board.workers):
            self._start_worker(index)
        host, port = self._listener.getsockname()[:2]
        self._pipeline.log("INFO", f"listening on http://{host}:{port}", event="listening", host=host, port=port)
        threading.Thread(target=self._fetch, name="fetch", daemon=True).start()
        self._report.start()
        while self._exit_code is None:
            self._turn()
        self._end_workers()
        self._pipeline.close(FLUSH_TIMEOUT)
        shutil.rmtree(self._temporary, ignore_errors=True)
        return self._exit_code

    def _catch_signals(self) -> None:
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._posted.append(self._drain))
        signal.signal(signal.SIGCHLD, lambda *_: self._posted.append(self._reap))
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)

    def _post(self, function: Callable[[], None]) -> None:
        """Have the loop's thread call a function (from any thread)."""
        self._posted.append(function)
        self._wake_write.send(b"\0")

    def _turn(self) -> None:
        busy = self._stop_at is not None or self._stand_in.keeps
        for key, _ in self._selector.select(_TICK if busy else _LOOK):
            key.data()
        while self._posted:
            self._posted.popleft()()
        if busy or time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK
            self._watch()

    def _watch(self) -> None:
        """Stand in for workers that C code holds up, and end one that never comes back."""
        self._pulses.look()
        self._stand_in.update(self._pulses)
        if late := self._start.look(self._workers.values(), fetching=self._project is None):
            self._fail(late)
        now = time.monotonic()
        for worker in self._workers.values():
            ready = self._board.slot(worker.index).state is State.READY
            if ready and self._pulses.missing(worker.index) >= HUNG_AFTER and worker.kill_at == float("inf"):
                message = f"worker {worker.index} has not run Python for {HUNG_AFTER:.0f} s (does C code hold the GIL?)"
                self._pipeline.log("ERROR", f"{message}: it is ended", event="worker_hung", worker=worker.index)
                worker.kill_at = now + ABORT_PATIENCE
                worker.abort()
            elif now > worker.kill_at:
                worker.kill()

    def _woken(self) -> None:
        self._wake_read.recv(4096)

    def _start_worker(self, index: int) -> None:
        environ = {
            **os.environ,
            **self._settings.variables,
            Variable.MODEL_DIR: str(self._temporary / "models"),
        }
        try:
            worker = WorkerProcess(
                index,
                board=self._board,
                listener=self._listener,
                inboxes=self._inboxes,
                spec=str(self._spec_file),
                revision=self._settings.revision,
                fast=self._settings.http is Http.FAST,
                client_timeout=self._settings.client_timeout,
                environ=environ,
            )
        except OSError as error:  # no process or descriptor is left
            self._fail(f"cannot start worker {index}: {error.strerror or error}")
            return
        self._workers[index] = worker
        self._pulses.begin(index)
        self._selector.register(worker.control, selectors.EVENT_READ, lambda: self._heard(worker))
        self._selector.register(worker.lines, selectors.EVENT_READ, lambda: self._logged(worker, worker.lines))
        for descriptor in worker.raw:
            self._selector.register(descriptor, selectors.EVENT_READ, lambda d=descriptor: self._logged(worker, d))
        worker.order(do="keys", file=self._keys and str(self._keys))
        if self._project is not None:
            worker.order(do="load", project=str(self._project))

    def _fetch(self) -> None:
        try:
            settings = self._settings
            project = provide(settings.project, settings.project_dir or self._temporary / "project")
            if self._settings.keys is not None:  # before any worker is ready: who has a key must not be refused
                KeyWatch(
                    open_source(self._settings.keys),
                    self._temporary / "keys.json",
                    tell=lambda file: self._post(lambda: self._pass_keys_on(file)),
                    warn=lambda reason: self._pipeline.log("WARNING", reason, event="keys_unreadable"),
                ).start()
        except (ServingError, OSError) as error:
            reason = str(error)
            self._post(lambda: self._fail(reason))
            return
        self._post(lambda: self._load(project))

    def _pass_keys_on(self, file: Path | None) -> None:
        self._keys = file
        for worker in self._workers.values():
            worker.order(do="keys", file=file and str(file))

    def _load(self, project: Path) -> None:
        self._project = project
        self._board.set_state(State.STARTING, "building the predictor")
        for worker in self._workers.values():
            worker.order(do="load", project=str(project))

    def _heard(self, worker: WorkerProcess) -> None:
        for text in worker.read_lines(worker.control.fileno()) or ():
            message = json.loads(text)
            if message["event"] == "ready":
                self._ready(worker)
            elif message["event"] == "warming" and self._board.state is State.STARTING:
                self._board.set_state(State.WARMING, "sending the sample request through the predictor")
            elif message["event"] == "models":
                self._report.models = message["models"]
            elif message["event"] == "failed":
                self._fail(message["reason"])
            elif message["event"] == "where":
                self._start.heard(worker.index, message["place"])

    def _ready(self, worker: WorkerProcess) -> None:
        self._pipeline.log("INFO", f"worker {worker.index} is ready", event="worker_ready", worker=worker.index)
        states = [slot.state for slot in self._board.slots()]
        if all(state is State.READY for state in states) and self._stop_at is None:
            self._board.set_state(State.READY, "serving")
            self._pipeline.log("INFO", "ready", event="ready")

    def _logged(self, worker: WorkerProcess, descriptor: int) -> None:
        found = worker.read_lines(descriptor)
        if found is None:
            self._selector.unregister(descriptor)
        else:
            self._pass_on(worker, descriptor, found)

    def _pass_on(self, worker: WorkerProcess, descriptor: int, found: list[bytes]) -> None:
        source = worker.raw.get(descriptor)
        if source is None:
            self._start.keep(worker.index, found)
            passed = found
            if not are_simple(found):
                passed = [whole for content in found for whole in repair_line(content, worker=worker.index)]
        else:
            text = b"\n".join(found).decode("utf-8", "replace")
            text = "\n".join(map(last_state, text.split("\n"))).strip()
            words = self._last_words.get(worker.index, "")
            if text and not words.startswith("Fatal Python error"):
                self._last_words[worker.index] = text
            level = "ERROR" if text.startswith(("Traceback", "Fatal Python error")) else "INFO"
            passed = lines(level, text, worker=worker.index, source=source) if text else []
        if passed:
            self._pipeline.lines(passed)

    def _reap(self) -> None:
        for worker in list(self._workers.values()):
            if worker.process.poll() is not None:
                self._died(worker)
        bury_adopted({worker.process.pid for worker in self._workers.values()})

    def _died(self, worker: WorkerProcess) -> None:
        self._let_go(worker)
        slot = self._board.slot(worker.index)
        failed = slot.state is State.FAILED
        slot.clear()
        if self._stop_at is not None or failed:
            return
        ending = f"worker {worker.index} {worker.how_it_ended()}"
        self._crashes.append(time.monotonic())
        if len(self._crashes) == CRASHES and self._crashes[-1] - self._crashes[0] < CRASH_WINDOW:
            words = self._last_words.get(worker.index, "").splitlines()
            # faulthandler says what happened first; an exception stands last.
            said = next((text for text in words if text.startswith("Fatal Python error")), words[-1] if words else "")
            reason = f"{ending}; {CRASHES} workers died within {CRASH_WINDOW:.0f} seconds"
            self._fail(f"{reason}: {said}" if said else reason)
            return
        self._board.count_restart()
        self._pipeline.log("ERROR", f"{ending} and is replaced", event="worker_died", restarts=self._board.restarts)
        if not self._may_serve():
            self._board.set_state(State.STARTING, f"{ending} and is being replaced")
        self._start_worker(worker.index)

    def _let_go(self, worker: WorkerProcess) -> None:
        """Take a dead worker's last lines, then close its pipes."""
        for descriptor in (worker.control.fileno(), worker.lines, *worker.raw):
            try:
                self._selector.get_key(descriptor)
            except KeyError:
                continue
            if descriptor == worker.control.fileno():
                self._heard(worker)
            else:
                self._pass_on(worker, descriptor, worker.last_lines(descriptor))
            self._selector.unregister(descriptor)
        worker.close()
        del self._workers[worker.index]

    def _fail(self, reason: str) -> None:
        """End the replica: the reason is the last line of the log, and goes where the platform reads it."""
        if self._exit_code is not None:
            return
        self._board.set_state(State.FAILED, reason)
        self._exit_code = 1
        self._fatal = reason

    def _drain(self) -> None:
        if self._stop_at is not None or self._exit_code is not None:
            return
        self._stop_at = time.monotonic() + max(1.0, self._settings.stop_timeout - STOP_RESERVE)
        self._board.set_state(State.DRAINING, "stopping: requests that have arrived are answered")
        self._pipeline.log("INFO", "draining", event="draining")
        if not self._may_serve():  # nobody waits for an answer: end what is being built
            self._stop()
            return
        for worker in self._workers.values():
            worker.order(do="drain")
        threading.Thread(target=self._wait_until_quiet, args=(self._stop_at,), name="drain", daemon=True).start()

    def _wait_until_quiet(self, stop_at: float) -> None:
        """Requests still come for a moment after SIGTERM (aws.md 2.3): stop when there was none for a while."""
        # A direct client that never stops sending cannot hold the replica for longer than half of what is left.
        latest = time.monotonic() + (stop_at - time.monotonic()) / 2
        quiet_since, seen = time.monotonic(), -1
        while (now := time.monotonic()) < latest and now - quiet_since < QUIET:
            requests = sum(slot.requests for slot in self._board.slots())
            if requests != seen or self._board.in_flight:
                quiet_since, seen = now, requests
            time.sleep(_TICK)
        self._post(self._stop)

    def _may_serve(self) -> bool:
        return any(slot.state is State.READY for slot in self._board.slots())

    def _stop(self) -> None:
        self._exit_code = 0

    def _end_workers(self) -> None:
        """Tell every worker to finish and end, read their last lines, kill what does not end."""
        self._stand_in.close()
        self._listener.close()
        now = time.monotonic()
        deadline = self._stop_at if self._stop_at is not None else now + 1.0
        for worker in self._workers.values():
            # A worker that is still building has nothing to finish.
            ready = self._board.slot(worker.index).state is State.READY
            timeout = max(0.1, deadline - now) if ready else 0.0
            worker.order(do="stop", timeout=timeout)
            worker.kill_at = now + timeout + KILL_AFTER
        while self._workers:
            self._turn_ending()
        self._say_goodbye()

    def _turn_ending(self) -> None:
        for key, _ in self._selector.select(_TICK):
            key.data()
        self._posted.clear()
        for worker in list(self._workers.values()):
            if worker.process.poll() is not None:
                self._let_go(worker)
            elif time.monotonic() > worker.kill_at:
                if self._board.slot(worker.index).state is State.READY:
                    message = f"worker {worker.index} did not end in time and is killed"
                    self._pipeline.log("WARNING", message, event="worker_killed", worker=worker.index)
                worker.kill_at = float("inf")
                worker.kill()

    def _say_goodbye(self) -> None:
        if self._exit_code == 0:
            self._pipeline.log("INFO", "stopped", event="stopped")
            return
        self._pipeline.log("CRITICAL", self._fatal, event=FATAL_EVENT)
        if self._settings.termination_log is not None:
            try:
                self._settings.termination_log.write_bytes(f"{self._fatal}\n".encode("utf-8", "backslashreplace"))
            except OSError as error:
                self._pipeline.log("WARNING", f"cannot write {self._settings.termination_log}: {error}")


def run(settings: Settings) -> int:
    """Serve until stopped.

    Args:
        settings: Everything that the replica is told from outside.

    Returns:
        The exit code: 0 after a clean stop, 1 after a failure.
    """
    raise_file_limit()  # workers inherit the limit
    try:
        supervisor = Supervisor(settings)
    except OSError as error:
        reason = cannot_listen(settings.host, settings.port, error, offers_another=not settings.cluster)
        os.write(2, f"{COMMAND}: {reason}\n".encode())
        return 1
    return supervisor.run()
