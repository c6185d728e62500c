"""A plugin of botocore that writes down each call of the ``cortex`` executable, for ``tests.aws_calls.recording``.

It lies in a folder of its own, which is put on ``PYTHONPATH`` of the executable, and imports nothing of the tests.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def initialize_client_plugin(client: Any) -> None:
    """Listen to the calls of a client, as botocore asks of plugins."""
    # The local cloud is started by the executable, and has its environment.
    if Path(sys.argv[0]).name == "cortex":
        client.meta.events.register("before-call", _record)


def _record(model: Any, **_others: Any) -> None:
    with Path(os.environ["RECORDED_CALLS"], str(os.getpid())).open("a") as file:
        file.write(f"{model.service_model.service_name} {model.name}\n")
