"""The servers that are compared: what each needs installed, and how it is started on an address.

Each has one process that answers, as far as it can have that, and everything that a server consists of is pinned to
the same core. Each is set up for speed as its own documentation advises, without access log where it has a switch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
ALL = ("w1", "w2", "w3", "w4json", "w4bytes")
SINGLE = ("w1", "w2", "w4json", "w4bytes")


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        name: As the table shows it.
        command: From the environment's ``bin`` folder and ``HOST:PORT`` to the command line.
        packages: What its own environment needs; empty means the environment that runs the benchmark.
        workloads: Which workloads it takes part in.
        environ: Further variables.
        python_path: Folders that Python imports from first.
        path: Where it answers.
        special: Workloads that it answers elsewhere, or with a request of another form: path and script for ``wrk``.
    """

    name: str
    command: Callable[[Path, str], list[str]]
    packages: tuple[str, ...] = ()
    workloads: tuple[str, ...] = SINGLE
    environ: dict[str, str] = field(default_factory=dict)
    python_path: tuple[Path, ...] = ()
    path: str = "/"
    special: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def _port(address: str) -> str:
    return address.split(":")[1]


def cortex(
    name: str,
    api: str,
    workloads: tuple[str, ...],
    *,
    http: str = "",
    without: str = "",
    checkout: Path | None = None,
) -> Server:
    """Our own server.

    Args:
        name: As the table shows it.
        api: Which API of the project.
        workloads: Which workloads it takes part in.
        http: ``CORTEX_HTTP``; empty means the default.
        without: A feature that is left out (``project/without.py``).
        checkout: Another checkout of this repository, whose serving program is measured instead of this one's.
    """

    def command(_: Path, address: str) -> list[str]:
        base = [sys.executable, "-m", "cortex_serving.cli", str(HERE / "project"), "--name", api]
        return [*base, "--listen", address]

    environ = {"CORTEX_HTTP": http, "BENCH_WITHOUT": without}
    python_path = () if checkout is None else (checkout.resolve() / "serving_image",)
    return Server(name, command, workloads=workloads, environ=environ, python_path=python_path)


def before(checkout: Path) -> tuple[Server, ...]:
    """Our own server of another checkout, to be measured beside this one's in the same run."""
    return (
        cortex("cortex, before", "plain", SINGLE, checkout=checkout),
        cortex("cortex, batching, before", "batched", ("w1", "w3"), checkout=checkout),
        cortex("cortex, stock waitress, before", "plain", ("w1",), http="stock", checkout=checkout),
    )


def _python(script: str) -> Callable[[Path, str], list[str]]:
    return lambda bin, address: [str(bin / "python"), str(PEERS / script), address]


def _uvicorn(module: str) -> Callable[[Path, str], list[str]]:
    return lambda bin, address: [
        *(str(bin / "uvicorn"), f"{module}:app", "--app-dir", str(PEERS), "--log-level", "error", "--no-access-log"),
        *("--host", "127.0.0.1", "--port", _port(address)),
    ]


SKLEARN = ("orjson", "scikit-learn")
# One environment for those that get along with each other: each is 300 MB.
WEB = ("falcon", "fastapi", "flask", "granian", "gunicorn", "litserve", "mosec", "uvicorn[standard]", *SKLEARN)
SERVERS = (
    cortex("cortex", "plain", SINGLE),
    cortex("cortex, batching", "batched", ("w1", "w3")),
    cortex("cortex, no batching", "plain", ("w3",)),
    cortex("cortex, no access log", "quiet", ("w1",)),
    cortex("cortex, no metrics", "plain", ("w1",), without="metrics"),
    cortex("cortex, no Server-Timing", "plain", ("w1",), without="server-timing"),
    cortex("cortex, stock waitress", "plain", ("w1", "w4json", "w4bytes"), http="stock"),
    # What these cannot do is the point of them: no batching, no metrics, no health.
    Server("nginx, a static answer", _python("nginx_static.py"), workloads=("w1",)),
    Server("stock Falcon on waitress", lambda _, a: [sys.executable, str(PEERS / "falcon_app.py"), a]),
    Server(
        "Falcon on granian",
        lambda bin, a: [
            *(str(bin / "granian"), "--interface", "wsgi", "--no-ws", "--log-level", "error", "--workers", "1"),
            *("--working-dir", str(PEERS), "--host", "127.0.0.1", "--port", _port(a), "falcon_app:app"),
        ],
        WEB,
    ),
    Server("FastAPI async", _uvicorn("fastapi_async"), WEB),
    Server("FastAPI sync", _uvicorn("fastapi_sync"), WEB),
    Server(
        "Flask on gunicorn",
        lambda bin, a: [
            *(str(bin / "gunicorn"), "--chdir", str(PEERS), "--threads", "4", "--log-level", "error"),
            *("--keep-alive", "60", "-b", a, "flask_app:app"),
        ],
        WEB,
    ),
    Server(
        "mosec",
        lambda bin, a: [str(bin / "python"), str(PEERS / "mosec_app.py"), "--address", "127.0.0.1", "--port", _port(a)],
        WEB,
        ALL,
        path="/inference",
    ),
    # It reads every payload as JSON, so that there is no row for bytes.
    Server("LitServe", _python("litserve_app.py"), WEB, ("w1", "w2", "w3", "w4json"), path="/predict"),
    Server(
        "BentoML",
        lambda bin, a: [
            *(str(bin / "bentoml"), "serve", "bentoml_app:Service", "--quiet", "--working-dir", str(PEERS)),
            *("--host", "127.0.0.1", "--port", _port(a)),
        ],
        ("bentoml", *SKLEARN),
        ("w1", "w2", "w4json"),
        path="/predict",
        special={"w4json": ("/predict-list", "floats.lua")},
    ),
    Server(
        "BentoML, batching",
        lambda bin, a: [
            *(str(bin / "bentoml"), "serve", "bentoml_app:Batching", "--quiet", "--working-dir", str(PEERS)),
            *("--host", "127.0.0.1", "--port", _port(a)),
        ],
        ("bentoml", *SKLEARN),
        ("w3",),
        special={"w3": ("/predict", "row.lua")},
    ),
    Server(
        "MLServer",
        _python("mlserver_app.py"),
        ("mlserver", "uvloop<0.22", *SKLEARN),  # its worker processes do not start with newer ones
        ALL,
        path="/predict",
        special={"w3": ("/v2/models/model/infer", "tensor.lua")},
    ),
    Server(
        "Ray Serve",
        _python("ray_app.py"),
        ("ray[serve]", *SKLEARN),
        ALL,
        # Its advice for many requests; what else it advises, HAProxy in front, is for many replicas. Its workers make
        # themselves nice unless told not to.
        environ={"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"},
    ),
)
