"""Why a deployment did not do what was asked for, in words."""

from __future__ import annotations

from datetime import datetime, timezone

from cortex_cdk.aws.launch_failures import explain
from cortex_cdk.deploy.failures import failure
from cortex_cdk.stack_operations.operation import Outcome

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def test_a_deployment_for_which_no_instance_started_says_why_and_what_to_do() -> None:
    launch = explain("Max spot instance count exceeded. Launching EC2 instance failed.", NOW)
    error = failure("iris", Outcome("ROLLBACK_COMPLETE", None, capacity="1 of 1 replicas wait", launch=launch))
    assert error.message == (
        "iris: no replica could be placed, because no instance could be started: "
        "the account may have no more spot instances of this family"
    )
    assert error.hint == (
        "nothing of it was kept; ask for more vCPUs of spot requests in the Service Quotas console, "
        "or leave spot out of the instance group"
    )
    assert error.details == ("EC2 said: Max spot instance count exceeded.",)


def test_a_deployment_whose_group_is_at_its_maximum_says_so() -> None:
    error = failure("iris", Outcome("ROLLBACK_COMPLETE", None, capacity="insufficient memory"))
    assert error.message == "iris: no replica could be placed: insufficient memory"
    assert error.hint
    assert "raise max_instances" in error.hint
