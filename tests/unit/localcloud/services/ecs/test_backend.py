"""What ECS keeps."""

from __future__ import annotations

from cortex_cdk.localcloud.services.ecs.backend import INACTIVE_KEPT, EcsBackend


def test_the_newest_inactive_revisions_are_kept_and_every_active_one() -> None:
    ecs = EcsBackend("us-east-1", "123456789012")
    container = {"name": "api", "image": "image", "memory": 64}
    last = INACTIVE_KEPT + 20
    for revision in range(1, last + 1):
        ecs.register_task_definition("iris", [container])
        if revision > 2:
            ecs.deregister_task_definition(f"iris:{revision - 1}")

    kept = [*ecs.task_definitions["iris"]]

    assert kept == [1, *range(last - INACTIVE_KEPT, last + 1)]
    assert {number for number in kept if ecs.task_definitions["iris"][number].status == "ACTIVE"} == {1, last}
