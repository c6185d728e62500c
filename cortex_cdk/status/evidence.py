"""What is known of an API at one moment: plain data, from which ``causes`` finds out what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_serving.contract import FATAL_EVENT, LOADING_EVENT, TRACEBACK_EVENT

from cortex_cdk.logs import LogRecord
from cortex_cdk.replicas.pending import GroupSize
from cortex_cdk.replicas.stopped import StoppedReplica
from cortex_cdk.status.alarms import Alarm
from cortex_cdk.status.metrics import Recent
from cortex_cdk.status.read_status import ApiStatus

if TYPE_CHECKING:
    from mypy_boto3_elbv2.type_defs import TargetHealthTypeDef

OF_STARTS = frozenset({FATAL_EVENT, TRACEBACK_EVENT, LOADING_EVENT})
"""Events of log records that tell of the start or the end of a replica, not of a request."""


@dataclass(frozen=True)
class Signs:
    """What AWS reports of an API besides its status, also while enough replicas serve.

    Attributes:
        targets: The health of each replica, as the load balancer sees it.
        leaving: Instances that drain, in words.
        recent: The requests of the last minutes.
        logs_error: What CloudWatch Logs answered; None where it does its work.
        storage_error: What S3 answered; None where it does its work.
    """

    targets: Sequence[TargetHealthTypeDef] = ()
    leaving: Sequence[str] = ()
    recent: Recent = field(default_factory=Recent)
    logs_error: str | None = None
    storage_error: str | None = None


@dataclass(frozen=True)
class FailedDeployment:
    """The last deployment of an API, which failed.

    Attributes:
        at: When it failed.
        reason: Why, in one line.
        undone: Whether the revision before is deployed again.
        to_do: What to do about it, where CloudFormation's reason tells; else empty.
    """

    at: datetime
    reason: str
    undone: bool
    to_do: str = ""


@dataclass(frozen=True)
class ScalingFailure:
    """The last thing that the autoscaler tried, and could not do.

    Attributes:
        at: When.
        reason: Why, in one line.
    """

    at: datetime
    reason: str


@dataclass(frozen=True)
class Evidence:
    """What is known of one API.

    Attributes:
        now: When all of this was read.
        api: Its status.
        signs: What AWS reports besides.
        serving_since: Since when the oldest replica that runs has run; None where none does.
        waiting_since: Since when a replica has waited for an instance; None where none does.
        sizes: The instance groups that it waits for.
        failed_at: When the replica failed that is why the API is not live; None where none did.
        stopped: Replicas that ended without being asked to, the newest first.
        deployment: The last deployment, if it failed.
        scaling: The autoscaler's last attempt, if it failed.
        alarms: Alarms that have gone off.
        records: What replicas logged lately as errors, or of a start that takes long; the oldest first.
        mended: Whether errors of requests were left out of that, as revisions logged them of which no replica is left.
        running: Ids of the replicas that run.
        starting: Ids of those that may still be building their predictor.
        events: What ECS said last of the service, the newest first.
    """

    now: datetime
    api: ApiStatus
    signs: Signs = field(default_factory=Signs)
    serving_since: datetime | None = None
    waiting_since: datetime | None = None
    sizes: tuple[GroupSize, ...] = ()
    failed_at: datetime | None = None
    stopped: tuple[StoppedReplica, ...] = ()
    deployment: FailedDeployment | None = None
    scaling: ScalingFailure | None = None
    alarms: tuple[Alarm, ...] = ()
    records: tuple[LogRecord, ...] = ()
    mended: bool = False
    running: frozenset[str] = frozenset()
    starting: frozenset[str] = frozenset()
    events: tuple[tuple[datetime, str], ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether fewer replicas serve than are wanted."""
        return self.api.replicas.up_to_date < self.api.replicas.requested
