"""The ``update_strategy`` section, and the two percentages of an ECS service that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field

from cortex_cdk.config.model import Conflict, Section
from cortex_cdk.config.quantities import Share


@dataclass(frozen=True)
class RollingPercentages:
    """``minimumHealthyPercent`` and ``maximumPercent`` of an ECS service."""

    minimum_healthy: int
    maximum: int


class UpdateStrategy(Section):
    """How replicas are replaced when an API is updated.

    ``max_surge`` and ``max_unavailable`` cannot both be 0. If both round to no replica at all, one replica may be
    missing: an API with one replica and ``max_surge: 0`` does not answer during an update.
    """

    max_surge: Share = Field(
        "25%",
        description="Replicas that may run above the desired count during an update (shares are rounded up). 0 stops a "
        "replica before its successor starts: use it if there is no spare GPU.",
    )
    max_unavailable: Share = Field(
        "25%", description="Replicas that may be missing during an update (shares are rounded down)."
    )

    def rules(self) -> Iterator[Conflict]:
        if _is_zero(self.max_surge) and _is_zero(self.max_unavailable):
            yield Conflict(
                (("max_surge",), ("max_unavailable",)),
                "max_surge and max_unavailable cannot both be 0: no replica could ever be replaced",
                "set max_unavailable to 1 to update without spare capacity",
            )

    def percentages(self, desired: int) -> RollingPercentages:
        """Compute the percentages that make ECS keep these bounds.

        ECS rounds the maximum down and the minimum up; Kubernetes rounds the other way. So the bounds are computed as
        counts first, then turned into percentages (reference ``aws.md`` 2.1; exact for up to 100 replicas). If both
        bounds round to nothing, one replica may be missing, as in Kubernetes: otherwise no update could begin.

        Args:
            desired: The service's desired count; 0 counts as 1.

        Returns:
            The percentages of the service.
        """
        count = max(desired, 1)
        surge = _rounded_up(self.max_surge, count)
        unavailable = min(_rounded_down(self.max_unavailable, count), count)
        if surge == 0 and unavailable == 0:
            unavailable = 1
        return RollingPercentages(
            minimum_healthy=100 * (count - unavailable) // count, maximum=-(-100 * (count + surge) // count)
        )


def _is_zero(share: int | str) -> bool:
    return share in (0, "0%")


def _rounded_up(share: int | str, count: int) -> int:
    return share if isinstance(share, int) else -(-count * int(share.rstrip("%")) // 100)


def _rounded_down(share: int | str, count: int) -> int:
    return share if isinstance(share, int) else count * int(share.rstrip("%")) // 100
