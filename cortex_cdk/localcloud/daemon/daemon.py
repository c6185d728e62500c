"""Runs the process of the local cloud: starts ports, state, API server and reconciler in order, and stops them."""

from __future__ import annotations

import gc
import logging
import logging.handlers
import os
import secrets
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_cdk.errors import LocalCloudError
from cortex_cdk.localcloud import moto_setup, ports
from cortex_cdk.localcloud.containers import orphans
from cortex_cdk.localcloud.daemon.heap import give_large_blocks_back
from cortex_cdk.localcloud.endpoint import STATE_FILE, DaemonInfo, hold_life_lock, read_ports
from cortex_cdk.localcloud.settings import HOST, REGION, Settings
from cortex_cdk.localcloud.state_folder import make_state_folder

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from waitress.server import BaseWSGIServer

    from cortex_cdk.localcloud.daemon.durability import Recovery

LOG_FILE = "daemon.log"
LOG_BYTES = 5_000_000
LOG_BACKUPS = 2
ORPHAN_TIMEOUT = 5.0
"""Seconds for killed processes to leave their ports."""
ANSWER_TIMEOUT = 2.0
ANSWER_POLL = 0.01
"""Seconds that answers have at the end, and seconds between two looks."""
THREADS = 16
"""Replicas poll and ship logs while the CLI asks. A request holds its thread for milliseconds only."""
HEADER_BYTES = 64 * 1024
"""Of a request, as in the serving program."""

log = logging.getLogger("cortex.local")


def run(settings: Settings) -> None:
    """Run the local cloud until SIGTERM or SIGINT.

    Args:
        settings: The state folder, the ports and the clock.

    Raises:
        LocalCloudError: Another daemon uses the state folder, or a port is in use.
    """
    give_large_blocks_back()
    make_state_folder(settings.state)
    _log_to(settings.state / LOG_FILE)
    life = hold_life_lock(settings.state)
    if life is None:
        raise LocalCloudError(f"Another local cloud already uses {settings.state}.", hint="See: cortex local status")
    with life:
        # Processes of a daemon that was killed would hold the ports.
        _wait_for_end(orphans.end_all(settings.state))
        says_where = settings.state / STATE_FILE
        died = says_where.exists()
        says_where.unlink(missing_ok=True)
        try:
            _serve(_with_ports(settings), died=died)
        finally:
            says_where.unlink(missing_ok=True)


def _serve(settings: Settings, *, died: bool) -> None:
    # moto makes very many objects while it is imported: collecting garbage meanwhile takes a quarter of the start.
    gc.disable()
    moto_setup.prepare(REGION)
    # The modules below import moto, which reads its settings once.
    from cortex_cdk.localcloud import cloudformation, services
    from cortex_cdk.localcloud.daemon.api_server import ApiServer
    from cortex_cdk.localcloud.daemon.durability import Durability
    from cortex_cdk.localcloud.daemon.outages import Outages
    from cortex_cdk.localcloud.daemon.reconciler import Reconciler
    from cortex_cdk.localcloud.services.ec2 import instance_types as types
    from cortex_cdk.localcloud.services.elbv2 import limits
    from cortex_cdk.localcloud.services.elbv2.resources import answer_at
    from cortex_cdk.localcloud.services.iam import developer, managed_policies, sessions
    from cortex_cdk.localcloud.services.service_quotas import backend as quotas
    from cortex_cdk.localcloud.services.ssm import public_images

    services.register_resource_types()
    quotas.install()
    public_images.install()
    types.install()
    limits.install()
    managed_policies.install()
    sessions.install()
    developer.install()
    data_plane, durability = Reconciler(settings), Durability(settings.state)

    def changed() -> None:
        durability.touch()
        data_plane.wake()

    cloudformation.install(moved=changed, settled=durability.save_if_possible)
    answer_at(f"{HOST}:{settings.http_port}", f"{HOST}:{settings.https_port}")
    info = _info(settings, durability.restore())
    control_plane = ApiServer(info, data_plane, Outages(settings.state), changed, lambda: durability.problem)
    server = _server(control_plane, settings.control_port)
    gc.freeze()
    gc.enable()
    data_plane.start(died=died)
    durability.start()
    cloudformation.resume()
    info.write(settings.state)
    log.info("up: control plane on port %d, load balancer on port %d", info.control_port, info.http_port)
    _serve_until_signal(server)
    log.info("stopping")
    data_plane.stop()
    _finish_answers(server)
    durability.stop()


def _server(application: WSGIApplication, port: int) -> BaseWSGIServer:
    from cortex_serving.server.connection_limit import connection_limit, raise_file_limit
    from waitress.server import create_server

    from cortex_cdk.localcloud.daemon.peer import take_own_users_connections

    raise_file_limit()
    server = create_server(
        application,
        host=HOST,
        port=port,
        threads=THREADS,
        ident=None,
        max_request_header_size=HEADER_BYTES,
        # Every replica keeps a connection to ship its logs. By itself waitress takes a hundred and keeps all others
        # waiting, and it waits with select(), which knows 1024 files.
        connection_limit=connection_limit(),
        asyncore_use_poll=True,
    )
    take_own_users_connections(server)
    return server


def _with_ports(settings: Settings) -> Settings:
    last = read_ports(settings.state)
    previous = ports.Ports(last["control_port"], last["http_port"], last["https_port"]) if last else None
    chosen = ports.resolve(settings, previous)
    return replace(settings, control_port=chosen.control, http_port=chosen.http, https_port=chosen.https)


def _wait_for_end(pids: list[int]) -> None:
    import psutil

    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    psutil.wait_procs(processes, timeout=ORPHAN_TIMEOUT)


def _info(settings: Settings, recovery: Recovery | None) -> DaemonInfo:
    return DaemonInfo(
        pid=os.getpid(),
        control_port=settings.control_port,
        http_port=settings.http_port,
        https_port=settings.https_port or 0,
        version=version("cortex-cdk"),
        state=str(settings.state.resolve()),
        notice=recovery.losses if recovery else None,
        news=recovery.news if recovery else None,
        speed=settings.speed,
        secret=secrets.token_hex(32),
    )


def _serve_until_signal(server: BaseWSGIServer) -> None:
    """Answer requests until SIGTERM or SIGINT, and in the background while replicas drain and send their last logs."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    threading.Thread(target=server.run, name="control-plane", daemon=True).start()
    ended.wait()


def _finish_answers(server: BaseWSGIServer) -> None:
    """Take no new connections, and send the answers that are due: half of an answer looks like a broken one."""
    from waitress.wasyncore import dispatcher

    # In the server's own thread. Its trigger stays open, because each answer wakes the thread by the trigger.
    server.trigger.pull_trigger(partial(dispatcher.close, server))
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while any(channel.requests or channel.total_outbufs_len for channel in list(server.active_channels.values())):
        if time.monotonic() > deadline:
            log.warning("answers were cut short")
            return
        time.sleep(ANSWER_POLL)


def _log_to(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_BACKUPS)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)
    # A warning for each request that waits for a thread tells a user nothing to act on.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
