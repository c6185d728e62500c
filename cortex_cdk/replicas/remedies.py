"""What to do about the reason for which a replica failed, or a deployment with it. The one place that knows.

``docs/troubleshooting.md`` has the same in tables.
"""

from __future__ import annotations

import re

from cortex_cdk.project import missing_imports, pickled_names
from cortex_cdk.replicas import missing_permissions

_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), to_do)
    for pattern, to_do in (
        ("OutOfMemory", "raise compute.mem"),
        (r"Can't get attribute .* on <module '__main__'", pickled_names.TO_DO),
        (
            r"^the sample request ",
            "correct the sample or the code (cortex-serve FOLDER sends it), or set predictor.warmup: false,",
        ),
        (r"CannotPull", "name an image in predictor.image that exists and may be pulled"),
        (r"secret.* could not be read", "make the secret readable, or correct predictor.secrets,"),
        (
            r"startup_timeout",
            "look at what __init__ waits for (cortex-serve FOLDER shows it), or raise predictor.startup_timeout,",
        ),
        (r"failed ELB health checks", "look in the log for the start or the request that took too long, correct it"),
        (r"worker \d+ (exited|was ended)", "look in the log for what ended the process (C code, os._exit), correct it"),
        (r"SIGKILL|exit code 137", "set compute.mem, or look for a lack of memory on the instance,"),
        (r"^no replica could be placed, because", "see what EC2 says (cortex cluster info), correct that"),
        (r"^no replica could be placed", "raise max_instances of the instance group, or ask for less in compute,"),
        (r"^cannot fetch the project", "wait until S3 answers"),
    )
)
_LOST: tuple[tuple[str, str], ...] = (
    ("ended unexpectedly", "look for a lack of memory (dmesg), and at daemon.log in the state folder"),
    ("was restarted", "nothing: the replicas were started again"),
    (
        "instance terminated",
        "nothing: ECS starts another replica (a spot instance was taken back, or somebody ended the instance)",
    ),
)


def of_failure(reason: str) -> str | None:
    """Say what to change, where the reason is known.

    Args:
        reason: Why a replica failed, in one line.

    Returns:
        Words that ``and deploy again`` can follow; None for an exception of the user's code, and others.
    """
    found = missing_imports.remedy(reason) or missing_permissions.remedy(reason)
    return found or next((to_do for pattern, to_do in _KNOWN if pattern.search(reason)), None)


def of_loss(reason: str) -> str | None:
    """Say what to do about a replica that went with its instance, or with the cloud itself; None for other reasons."""
    return next((to_do for words, to_do in _LOST if words in reason), None)
