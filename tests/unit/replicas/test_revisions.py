"""How many replicas the old and the new revision have, from what ECS and the target group say."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_cdk.replicas.revisions import Background, RevisionReplicas, Rollout, rollout_of

OLD, NEW = "iris:1", "iris:2"
UPDATE = Background("r2", "r1", {OLD})


def deployment(definition: str, *, desired: int = 1, starting: int = 0, running: int = 0, **more: Any) -> Any:
    counts = {"desiredCount": desired, "pendingCount": starting, "runningCount": running}
    return {"status": "PRIMARY", "rolloutState": "IN_PROGRESS", "taskDefinition": definition, **counts, **more}


def old(**more: Any) -> Any:
    return deployment(OLD, status="ACTIVE", **more)


def rollout(deployments: list[Any], targets: list[str], known: Background = UPDATE) -> Rollout:
    service: Any = {"deployments": deployments}
    return rollout_of(service, targets, known)


def test_before_ecs_has_begun() -> None:
    found = rollout([deployment(OLD, running=1)], ["healthy"])
    assert found.new == RevisionReplicas("r2", "not begun")
    assert found.old == RevisionReplicas("r1", "serving", desired=1, running=1, healthy=1)
    assert rollout_of(None, (), UPDATE) == Rollout(RevisionReplicas("r2", "not begun"))


@pytest.mark.parametrize(
    ("new", "targets", "state", "healthy"),
    [
        ({"starting": 1}, ["healthy"], "starting", (0, 1)),
        ({"running": 1}, ["healthy", "initial"], "starting", (0, 1)),
        ({"running": 1}, ["healthy", "healthy"], "taking over", (1, 1)),
        ({"running": 1}, ["draining", "healthy"], "taking over", (1, 0)),
    ],
)
def test_while_the_old_one_serves(
    new: dict[str, int], targets: list[str], state: str, healthy: tuple[int, int]
) -> None:
    found = rollout([deployment(NEW, **new), old(running=1)], targets)
    assert found.old
    assert (found.new.state, (found.new.healthy, found.old.healthy)) == (state, healthy)
    assert found.old.state == ("serving" if healthy[1] else "draining")


def test_done() -> None:
    done = rollout([deployment(NEW, running=1, rolloutState="COMPLETED")], ["healthy"])
    assert done == Rollout(RevisionReplicas("r2", "live", desired=1, running=1, healthy=1))
    # On AWS a deployment bakes for some minutes.
    assert rollout([deployment(NEW, running=1)], ["healthy"]) == done


def test_replicas_fail_and_ecs_goes_back() -> None:
    failing = Background("r2", "r1", {OLD}, failed=2, obstacle="ValueError: no")
    found = rollout([deployment(NEW, starting=1), old(running=1)], ["healthy"], failing)
    assert (found.new.state, found.new.failed, found.reason) == ("failing", 2, "ValueError: no")
    back = rollout([deployment(OLD, running=1)], ["healthy"], failing)
    assert (back.new.state, back.new.desired, back.reason) == ("failed", 0, "ValueError: no")
    assert back.old == RevisionReplicas("r1", "serving", desired=1, running=1, healthy=1)
    # The replicas that leave are the new ones now.
    leaving = deployment(NEW, status="ACTIVE", desired=0, running=1)
    back = rollout([deployment(OLD, running=1), leaving], ["healthy", "draining"], Background("r2", "r1", {OLD}, True))
    assert back.old
    assert (back.new.state, back.new.healthy, back.old.healthy) == ("failed", 0, 1)


def test_no_room() -> None:
    short = Background("r2", "r1", {OLD}, obstacle="insufficient memory", is_short=True)
    found = rollout([deployment(NEW, starting=1), old(running=1)], ["healthy"], short)
    assert (found.new.state, found.reason) == ("no capacity", "insufficient memory")


def test_replicas_that_stay_are_those_of_the_same_revision() -> None:
    same = Background("r1", "r1", {OLD})
    found = rollout([deployment(OLD, running=2, desired=2, rolloutState="COMPLETED")], ["healthy", "healthy"], same)
    assert found == Rollout(RevisionReplicas("r1", "live", desired=2, running=2, healthy=2))


def test_the_revision_before_is_not_known() -> None:
    """Of a deployment that ran already when it was joined."""
    found = rollout([deployment(NEW), old(running=1)], ["healthy"], Background("r2", None, {OLD, NEW}))
    assert found.old
    assert (found.new.revision, found.old.revision) == ("r2", "earlier")
