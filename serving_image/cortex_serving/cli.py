"""The command ``cortex-serve``: runs a replica, in a task or of a project folder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cortex_serving.contract import COMMAND, PORT, Variable
from cortex_serving.errors import ServingError
from cortex_serving.predictors.types import predictor_type
from cortex_serving.settings import Settings, from_environment, from_project


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description=f"Serve a project's predictor. Without a folder, {Variable.PREFIX}* variables say everything.",
    )
    parser.add_argument("project", nargs="?", type=Path, help="folder that holds cortex.yaml and the predictor")
    parser.add_argument("--config", type=Path, help="configuration file (default: cortex.yaml in the folder)")
    parser.add_argument("--name", help="API to serve (default: the first Realtime API of the file)")
    parser.add_argument(
        "--listen", default=f"127.0.0.1:{PORT}", help="HOST:PORT (default: %(default)s; port 0 takes a free one)"
    )
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    if arguments.project is None:
        settings = from_environment(os.environ)
    else:
        settings = from_project(arguments.project, arguments.config, arguments.name, arguments.listen, os.environ)
    # Workers would fail one after the other.
    predictor_type(settings.spec.predictor.type)
    return settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; None takes those of the process.

    Returns:
        The exit code: 0 after a clean stop, 1 after a failure, 2 for wrong usage.
    """
    arguments = _parser().parse_args(argv)
    try:
        settings = _settings(arguments)
    except ServingError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 1
    from cortex_serving.replica.supervisor import run  # after usage errors: --help must not pay for it

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
