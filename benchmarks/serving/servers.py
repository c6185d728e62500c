"""The servers that are compared: what each needs installed, and how it is started on an address."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        name: As the table shows it.
        command: From the environment's ``bin`` folder and ``HOST:PORT`` to the command line.
        packages: What its own environment needs; empty means the environment that runs the benchmark.
        workloads: Which workloads it takes part in.
        environ: Further variables.
        path: Where it answers.
    """

    name: str
    command: Callable[[Path, str], list[str]]
    packages: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ("w1", "w2", "w4json", "w4bytes")
    environ: dict[str, str] = field(default_factory=dict)
    path: str = "/"


def _port(address: str) -> str:
    return address.split(":")[1]


def cortex(name: str, api: str, http: str, workloads: tuple[str, ...]) -> Server:
    """Our own server with one API of the project and some changes of ``cortex_serving.http``."""

    def command(_: Path, address: str) -> list[str]:
        base = [sys.executable, "-m", "cortex_serving.cli", str(HERE / "project"), "--name", api]
        return [*base, "--listen", address]

    return Server(name, command, workloads=workloads, environ={"CORTEX_HTTP": http})


def _python(script: str) -> Callable[[Path, str], list[str]]:
    return lambda bin, address: [str(bin / "python"), str(PEERS / script), address]


def _uvicorn(module: str) -> Callable[[Path, str], list[str]]:
    return lambda bin, address: [
        *(str(bin / "uvicorn"), f"{module}:app", "--app-dir", str(PEERS), "--log-level", "error"),
        *("--host", "127.0.0.1", "--port", _port(address)),
    ]


ALL = ("w1", "w2", "w3", "w4json", "w4bytes")
SKLEARN = ("scikit-learn",)
SERVERS = (
    cortex("cortex", "plain", "", ("w1", "w2", "w4json", "w4bytes")),
    cortex("cortex, batching", "batched", "", ("w3",)),
    cortex("cortex, no access log", "quiet", "", ("w1",)),
    *(
        cortex(f"cortex, without {change}", "plain", f"-{change}", ("w1",))
        for change in ("request", "bodies", "environment", "reply", "direct", "epoll", "leader")
    ),
    cortex("cortex, stock waitress", "plain", "stock", ("w1", "w4json", "w4bytes")),
    Server("stock Falcon on waitress", lambda _, a: [sys.executable, str(PEERS / "falcon_app.py"), a]),
    Server(
        "Falcon on granian",
        lambda bin, a: [
            *(str(bin / "granian"), "--interface", "wsgi", "--no-ws", "--log-level", "error"),
            *("--working-dir", str(PEERS), "--host", "127.0.0.1", "--port", _port(a), "falcon_app:app"),
        ],
        ("granian", "falcon", "orjson", *SKLEARN),
    ),
    Server("FastAPI async", _uvicorn("fastapi_async"), ("fastapi", "uvicorn[standard]", *SKLEARN)),
    Server("FastAPI sync", _uvicorn("fastapi_sync"), ("fastapi", "uvicorn[standard]", *SKLEARN)),
    Server(
        "Flask on gunicorn",
        lambda bin, a: [
            *(str(bin / "gunicorn"), "--chdir", str(PEERS), "--threads", "4", "--log-level", "error"),
            *("--keep-alive", "60", "-b", a, "flask_app:app"),
        ],
        ("flask", "gunicorn", *SKLEARN),
    ),
    Server(
        "mosec",
        lambda bin, a: [str(bin / "python"), str(PEERS / "mosec_app.py"), "--address", "127.0.0.1", "--port", _port(a)],
        ("mosec", *SKLEARN),
        ALL,
        path="/inference",
    ),
    Server(
        "LitServe",
        _python("litserve_app.py"),
        ("litserve", *SKLEARN),
        ("w1", "w2", "w3", "w4json"),
        path="/predict",
    ),
    Server(
        "BentoML",
        lambda bin, a: [
            *(str(bin / "bentoml"), "serve", "bentoml_app:Service", "--working-dir", str(PEERS)),
            *("--host", "127.0.0.1", "--port", _port(a)),
        ],
        ("bentoml", *SKLEARN),
        ("w1", "w2"),
        path="/predict",
    ),
    Server("Ray Serve", _python("ray_app.py"), ("ray[serve]", *SKLEARN), ("w1", "w2", "w3")),
)
