"""Turns the context of the stock CDK toolkit's command line into specifications.

    cdk synth -c config=examples/iris-classifier/cortex.yaml -c cluster=demo
    cdk diff -c config=... -c environment=production

Without an environment, the ids of the cluster are placeholders, so that no account is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cortex_cdk import names
from cortex_cdk.clusters.running import read_cluster
from cortex_cdk.config import Cluster, Config, RealtimeApi, TrafficSplitter, load_cluster, load_config
from cortex_cdk.deploy.listener_rules import Rule, priority_for, read_rules
from cortex_cdk.deploy.splitters import splitter_spec, target_groups
from cortex_cdk.environment import load_environments
from cortex_cdk.stack_operations.stack import list_stacks
from cortex_cdk.synthesis.placeholders import placeholder_resources, placeholder_target_groups
from cortex_cdk.synthesis.specs import ApiStackSpec, ClusterStackSpec, SplitterStackSpec, StackSpec


def specifications(context: Callable[[str], str | None]) -> tuple[StackSpec, ...]:
    """Return the specifications of the stacks that the context asks for.

    Args:
        context: Looks up a value: ``config`` (path of a cortex.yaml), ``cluster`` (a name, or the path of a
            cluster.yaml), ``environment`` (name of an environment whose cluster is deployed).

    Raises:
        CortexError: A file or the environment cannot be used.
    """
    environment, config_file, cluster_option = context("environment"), context("config"), context("cluster")
    cluster = _cluster(cluster_option)
    config = load_config(Path(config_file)) if config_file else None
    if not environment:
        return ClusterStackSpec(cluster=cluster), *(_with_placeholders(config, cluster) if config else ())
    own = (ClusterStackSpec(cluster=cluster),) if cluster_option else ()
    return *own, *(_with_environment(config, environment) if config else ())


def _cluster(option: str | None) -> Cluster:
    if option and Path(option).is_file():
        return load_cluster(Path(option))
    return Cluster(name=option) if option else Cluster()


def _with_placeholders(config: Config, cluster: Cluster) -> Sequence[StackSpec]:
    resources = placeholder_resources(cluster)
    priorities = _priorities(config, [])
    apis = [
        ApiStackSpec(cluster=resources, api=api, priority=priorities[api.networking.endpoint]) for api in config.apis
    ]
    splitters = [
        SplitterStackSpec(
            cluster=resources,
            splitter=splitter,
            priority=priorities[splitter.networking.endpoint],
            target_groups=placeholder_target_groups(cluster.region, splitter),
        )
        for splitter in config.splitters
    ]
    return [*apis, *splitters]


def _with_environment(config: Config, name: str) -> Sequence[StackSpec]:
    environment = load_environments().get(name)
    cloud = environment.connect()
    cluster = read_cluster(cloud, environment)
    priorities = _priorities(config, read_rules(cloud, cluster.resources.listener_arn))
    apis = [
        ApiStackSpec(cluster=cluster.resources, api=api, priority=priorities[api.networking.endpoint])
        for api in config.apis
    ]
    groups = target_groups(cluster.name, list_stacks(cloud, names.api_stack(cluster.name, "")))
    splitters = [
        splitter_spec(cloud, cluster.resources, splitter, priorities[splitter.networking.endpoint], groups)
        for splitter in config.splitters
    ]
    return [*apis, *splitters]


def _priorities(config: Config, rules: Iterable[Rule]) -> dict[str, int]:
    """Return a priority for each endpoint: the one that its rule has already, else a free one."""
    known = list(rules)
    chosen: dict[str, int] = {}
    resources: tuple[RealtimeApi | TrafficSplitter, ...] = (*config.apis, *config.splitters)
    for endpoint in (resource.networking.endpoint for resource in resources):
        kept = next((rule.priority for rule in known if rule.endpoint == endpoint), None)
        others = [rule for rule in known if rule.endpoint != endpoint]
        chosen[endpoint] = priority_for(endpoint, kept, others)
        known = [*others, Rule(endpoint, chosen[endpoint])]
    return chosen
