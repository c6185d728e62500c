"""The ``autoscaling`` section: how many replicas run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from cortex_serving.contract import DEFAULT_MAX_CONCURRENCY
from pydantic import AfterValidator, Field

from cortex_cdk.config.model import Allowed, Conflict, Number, Section, Shown, Whole
from cortex_cdk.config.quantities import Duration

DEFAULT_MAX_REPLICAS = 10
"""Most replicas of an API that names none: enough to see scaling work, few enough for the bill (decision 0033)."""
MOST_UNWRITTEN_REPLICAS = 100
"""Above so many replicas, the maximum has to be written."""

_COUNTS = ("min_replicas", "init_replicas")


def _window(seconds: float) -> float:
    if seconds < 10 or seconds % 10 != 0:
        raise ValueError("not a window")
    return seconds


class Autoscaling(Section):
    """The number of replicas, and when replicas are added and removed.

    Each target becomes a target-tracking policy of Application Auto Scaling: the requests in flight always, the request
    rate where it is given. The policy that asks for more replicas wins; replicas are removed when all agree.
    ``min_replicas`` <= ``init_replicas`` <= ``max_replicas``, and ``target_replica_concurrency`` <=
    ``max_replica_concurrency``.
    """

    min_replicas: Annotated[Whole, Field(ge=1)] = Field(
        1, description="Fewest replicas: the minimum capacity of the scalable target."
    )
    init_replicas: Annotated[Whole, Field(ge=1), Shown("min_replicas")] = Field(
        default_factory=lambda data: data["min_replicas"],
        description="Replicas of the first deployment. Later deployments keep the running count.",
    )
    max_replicas: Annotated[
        Whole, Field(ge=1), Shown(f"{DEFAULT_MAX_REPLICAS}, or more if the fields above ask for more")
    ] = Field(
        default_factory=lambda data: min(
            MOST_UNWRITTEN_REPLICAS, max(DEFAULT_MAX_REPLICAS, *(data.get(name, 1) for name in _COUNTS))
        ),
        description="Most replicas: the maximum capacity of the scalable target, and the limit of the costs.",
    )
    # The default is for one process with one thread; for_slots multiplies it.
    target_replica_concurrency: Annotated[Number, Field(gt=0), Shown("processes_per_replica * threads_per_process")] = (
        Field(
            1.0,
            description="Target of scaling: requests in flight (running and waiting) in each replica, by the metric "
            "that replicas publish.",
        )
    )
    target_replica_requests_per_second: Annotated[Number, Field(gt=0)] | None = Field(
        None,
        description="Second target of scaling: requests per second to each replica, by the load balancer's request "
        "count per target. Without it the rate scales nothing. An addition to Cortex's fields.",
    )
    max_replica_concurrency: Annotated[Whole, Field(ge=1, le=65535)] = Field(
        DEFAULT_MAX_CONCURRENCY,
        description="Requests that a replica admits at once (running and waiting). Further ones are answered with 503.",
    )
    window: Annotated[
        Duration, AfterValidator(_window), Allowed("a duration of at least 10s that is a multiple of 10s"), Shown("60s")
    ] = Field(60.0, description="Accepted, not used: target tracking has its own evaluation periods.")
    downscale_stabilization_period: Annotated[
        Duration, Field(ge=0), Allowed("a duration such as 5m, at least 0s"), Shown("5m")
    ] = Field(300.0, description="Scale-in cooldown of the scaling policies.")
    upscale_stabilization_period: Annotated[
        Duration, Field(ge=0), Allowed("a duration such as 1m, at least 0s"), Shown("1m")
    ] = Field(60.0, description="Scale-out cooldown of the scaling policies.")
    max_downscale_factor: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.75, description="Accepted, not used: Application Auto Scaling decides how far to scale in."
    )
    max_upscale_factor: Annotated[Number, Field(gt=1)] = Field(
        1.5, description="Accepted, not used: Application Auto Scaling decides how far to scale out."
    )
    downscale_tolerance: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.05, description="Accepted, not used: target tracking scales in only well below the target."
    )
    upscale_tolerance: Annotated[Number, Field(ge=0)] = Field(
        0.05, description="Accepted, not used: target tracking scales out as soon as the target is exceeded."
    )

    def rules(self) -> Iterator[Conflict]:
        least, most, first = ("min_replicas",), ("max_replicas",), ("init_replicas",)
        if self.min_replicas > self.max_replicas:
            yield Conflict(
                (least, most), f"{self.min_replicas} is more than max_replicas, which is {self.max_replicas}"
            )
        elif not self.min_replicas <= self.init_replicas <= self.max_replicas:
            bounds = f"min_replicas ({self.min_replicas}) to max_replicas ({self.max_replicas})"
            yield Conflict((first, least, most), f"must be from {bounds}, not {self.init_replicas}")

    def for_slots(self, slots: int) -> Autoscaling:
        """Return the section with the default target of a replica that runs several predictions at a time.

        Args:
            slots: Predictions that the replica can run at a time: processes * threads.
        """
        if "target_replica_concurrency" in self.model_fields_set:
            return self
        # model_copy would record the default as a field that the user has set.
        values = {**dict(self), "target_replica_concurrency": float(slots)}
        return self.model_construct(_fields_set=self.model_fields_set, **values)
