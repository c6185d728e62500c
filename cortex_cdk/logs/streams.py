"""The log streams of the replicas whose records are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from cortex_serving.contract import split_log_stream

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.errors import CortexError
from cortex_cdk.logs.filters import LogFilter

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import LogStreamTypeDef

MOST_NAMES = 100
"""Streams that one call can name (FilterLogEvents, logStreamNames)."""
MOST_LISTED = 1000
"""Replicas that are looked through, those first that wrote last."""
SUGGESTED = 5


class Streams:
    """Finds the log streams of the replicas that are wanted. Each replica has one.

    Args:
        cloud: A session of the environment.
        group: The log group.
        wanted: Says which replicas.
    """

    def __init__(self, cloud: Cloud, group: str, wanted: LogFilter) -> None:
        self._cloud = cloud
        self._group = group
        self._wanted = wanted
        self._names: list[str] | None = None

    def refresh(self) -> None:
        """List the streams again before the next query: new replicas of a revision have come."""
        self._names = None

    def query(self) -> dict[str, Any]:
        """What restricts FilterLogEvents to the streams; nothing where there are too many, or the group is not there.

        Raises:
            CortexError: None is wanted, though there are some.
        """
        if not self._wanted.replicas and not self._wanted.revisions:
            return {}
        if self._names is None:
            listed = list(islice(self._list(), MOST_LISTED))
            self._names = [name for name in listed if self._wanted.admits_replica(*split_log_stream(name))]
            if listed and not self._names:
                raise self._unknown(listed)
        return {"logStreamNames": self._names} if 0 < len(self._names) <= MOST_NAMES else {}

    def _unknown(self, listed: Sequence[str]) -> CortexError:
        asked = []
        if self._wanted.replicas:
            asked.append(f"whose id begins with {' or '.join(self._wanted.replicas)}")
        if self._wanted.revisions:
            asked.append(f"of revision {' or '.join(self._wanted.revisions)}")
        known = map(split_log_stream, listed[:SUGGESTED])
        last = ", ".join(f"{task[:8]} (revision {revision})" for revision, task in known)
        return CortexError(
            f"no replica {' '.join(asked)} has written to the log",
            hint=f"the {'last that did' if len(listed) > 1 else 'only one that did'}: {last}",
        )

    def _list(self) -> Iterator[str]:
        """The names of all streams; first those of the replicas that wrote last."""
        from botocore.exceptions import ClientError

        pages = self._cloud.logs.get_paginator("describe_log_streams")
        try:
            for page in pages.paginate(logGroupName=self._group, orderBy="LastEventTime", descending=True):
                yield from map(_name, page["logStreams"])
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise


def _name(stream: LogStreamTypeDef) -> str:
    return stream.get("logStreamName", "")
