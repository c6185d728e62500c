"""The secrets of one environment, as the ``cortex secret`` command uses them."""

from __future__ import annotations

from datetime import datetime

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.secrets import listing, values
from cortex_cdk.secrets.listing import ListedSecret


class Secrets:
    """Sets, lists and deletes secrets.

    Args:
        cloud: A session of the environment.
        cluster: The environment's cluster, which need not exist yet.
    """

    def __init__(self, cloud: Cloud, cluster: str) -> None:
        self._cloud = cloud
        self._cluster = cluster

    def set(self, name: str, value: str, key: str | None = None) -> bool:
        """Give a secret a new value; one that does not exist is made. Replicas that run keep the old one.

        Args:
            name: Its name.
            value: The value.
            key: Sets only this key of a JSON object.

        Returns:
            Whether the secret is new.

        Raises:
            CortexError: The name or the value cannot be one, or the secret has no keys.
        """
        return values.set_value(self._cloud, self._cluster, name, value, key)

    def list(self) -> tuple[ListedSecret, ...]:
        """List the secrets that were made for the cluster, and those that its APIs use. No value is read."""
        return listing.list_secrets(self._cloud, self._cluster)

    def uses(self, name: str) -> tuple[str, ...]:
        """The APIs of the cluster that use a secret."""
        return listing.uses(self._cloud, self._cluster, name)

    def delete(self, name: str) -> datetime:
        """Let a secret be deleted after the recovery window of Secrets Manager.

        Returns:
            When it will be gone.

        Raises:
            CortexError: There is no such secret.
        """
        return values.schedule_deletion(self._cloud, name)
