"""What is said where an environment has no cluster."""

from cortex_cdk.clusters.change import missing
from cortex_cdk.environment import Environment, LocalEnvironment


def test_where_the_first_deployment_makes_the_cluster_that_is_said() -> None:
    error = missing(LocalEnvironment())
    assert "nothing is deployed in environment 'local' yet" in error.message
    assert error.hint
    assert "cortex deploy" in error.hint


def test_where_a_cluster_costs_money_its_making_is_left_to_the_user() -> None:
    error = missing(Environment("prod", cluster="main", region="eu-west-1"))
    assert "there is no cluster 'main' in environment 'prod'" in error.message
    assert error.hint == "make it with: cortex cluster up --env prod"
