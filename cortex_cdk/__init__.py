"""The library behind the ``cortex`` command: from ``cortex.yaml`` to APIs that answer.

Packages, from the top down; each may import those below it, and none above it:

* ``client``: what the commands do, as Python functions. ``prediction_client``, ``async_client`` are those for requests.
* ``deploy``: deploys, refreshes and deletes APIs and traffic splitters.
* ``status``, ``predict``: what is deployed, how it goes, and whether it answers.
* ``clusters``: makes, changes and removes clusters.
* ``history``: what became of each deployment of an API.
* ``synthesis``: typed specifications to CloudFormation templates.
* ``stack_operations``: runs one CloudFormation operation to its end.
* ``replicas``, ``logs``: what ECS says of replicas, and what they logged.
* ``environment``: named accounts, regions and clusters.
* ``aws``: the one door to boto3.
* ``localcloud``: the embedded cloud that answers the same API on a laptop.
* ``capacity``, ``config``, ``project``: instance types and prices, ``cortex.yaml``, the user's folder. They read
  files only.
* ``names``, ``home``, ``errors``: what all of them share.

Read ``client`` first, then ``deploy.deployer``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_cdk.async_client import AsyncClient as AsyncClient
    from cortex_cdk.client import Client as Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> object:
    """Import a client when somebody asks for it, because every module of the library imports this package."""
    if name == "Client":
        from cortex_cdk.client import Client

        return Client
    if name == "AsyncClient":
        from cortex_cdk.async_client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
