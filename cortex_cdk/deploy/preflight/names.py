"""An API stays an API and a splitter a splitter: a name stands for one thing in a cluster."""

from __future__ import annotations

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.config import Config
from cortex_cdk.errors import DeployError
from cortex_cdk.stack_operations.stack import list_stacks


def check_kinds(cloud: Cloud, cluster: str, config: Config) -> None:
    """Look whether a name of the configuration is that of something of the other kind.

    Args:
        cluster: The cluster's name.

    Raises:
        DeployError: It is.
    """
    wanted = {api.name: (names.splitter_stack(cluster, api.name), "a traffic splitter") for api in config.apis}
    wanted |= {splitter.name: (names.api_stack(cluster, splitter.name), "an API") for splitter in config.splitters}
    deployed = {stack.name for stack in list_stacks(cloud, f"cortex-{cluster}-")}
    for name, (stack, kind) in wanted.items():
        if stack in deployed:
            raise DeployError(
                f"{name} is the name of {kind} of this cluster",
                hint=f"choose another name, or delete it first: cortex delete {name}",
            )
