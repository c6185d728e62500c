"""``python -m cortex_cdk.localcloud``: run the local cloud in the foreground."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from cortex_cdk.errors import CortexError
from cortex_cdk.localcloud.launcher import REFUSED
from cortex_cdk.localcloud.settings import Settings


def main() -> int:
    """Run the daemon. Return 0 after a signal, or ``REFUSED`` if the daemon cannot start; the reason is on stderr."""
    try:
        from cortex_cdk.localcloud.daemon.daemon import run

        run(_settings(sys.argv[1:]))
    except CortexError as error:
        logging.getLogger("cortex.local").error("%s", error.message)
        sys.stderr.write(f"{error.message}\n{error.hint or ''}\n")
        return REFUSED
    return 0


def _settings(arguments: list[str]) -> Settings:
    settings = Settings.from_environ()
    parser = argparse.ArgumentParser(prog="python -m cortex_cdk.localcloud", description=__doc__)
    parser.add_argument("--state", type=Path, default=settings.state, help="folder of everything that survives")
    parser.add_argument("--control-port", type=int, default=settings.control_port, help="AWS API; 0: a free one")
    parser.add_argument("--http-port", type=int, default=settings.http_port, help="load balancer; 0: a free one")
    parser.add_argument("--https-port", type=int, default=settings.https_port, help="its TLS; 0: a free one")
    parser.add_argument("--speed", type=float, default=settings.speed, help="how much faster than AWS clocks run")
    return replace(settings, **vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
