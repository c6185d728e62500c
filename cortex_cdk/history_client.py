"""What the Python client does with deployments that were: list, deploy again, compare, write out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cortex_cdk.cluster_client import ClusterClient
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.deploy.roll_back import roll_back
from cortex_cdk.deploy.wait_for_replicas import wait_for_replicas
from cortex_cdk.history.compare import Comparison, compare
from cortex_cdk.history.export import Exported, export
from cortex_cdk.history.releases import History, read_history
from cortex_cdk.status.read_status import read_apis


class HistoryClient(ClusterClient):
    """Knows the history of each API and splitter. See ``Client``."""

    def history(self, name: str) -> History:
        """Read the deployments of an API or traffic splitter, the newest first.

        Args:
            name: The API or splitter.

        Raises:
            NotDeployedError: There is none of that name, and no record of one.
        """
        return read_history(self.cloud, self.cluster.resources.bucket, self.cluster.name, name)

    def rollback(
        self, name: str, revision: str | int | None = None, *, message: str | None = None, check: bool = True
    ) -> Applied:
        """Deploy an API or traffic splitter exactly as it was before, and wait until that serves. No files are needed.

        An update that runs is given up.

        Args:
            name: The API or splitter.
            revision: A number of its history (``3`` or ``"v3"``), or the beginning of a revision; None goes back to
                what served before.
            message: Why, for the history.
            check: Raise what went wrong; else it is the ``error`` in what is returned.

        Raises:
            NotDeployedError: There is none of that name.
            CortexError: Nothing was changed, or (with ``check``) the roll-back failed; the message says why.
        """
        wanted = None if revision is None else str(revision)
        done, minimums = roll_back(self.cloud, self.cluster, self._progress, name, revision=wanted, message=message)
        if done.changed and not done.error:
            self._wait_for_replicas(minimums)
        if check and done.error:
            raise done.error
        return done

    def _wait_for_replicas(self, minimums: Mapping[str, int]) -> None:
        cluster = self.cluster
        wait_for_replicas(lambda apis: read_apis(self.cloud, cluster, apis), minimums, self._progress)

    def diff(self, name: str, before: str | int | None = None, after: str | int | None = None) -> Comparison:
        """Compare two deployments of an API or splitter.

        Args:
            name: The API or splitter.
            before: A number of its history, or the beginning of a revision; None takes the one that served before
                the one that serves.
            after: Likewise; None takes the one that serves.

        Raises:
            NotDeployedError: There is none of that name.
            CortexError: There is no such deployment, or something of it is gone.
        """
        history = self.history(name)
        old = history.before_serving() if before is None else history.find(str(before))
        new = history.require_serving() if after is None else history.find(str(after))
        return compare(self.cloud, self.cluster.resources.bucket, old, new)

    def export(self, name: str, folder: Path | str, revision: str | int | None = None) -> Exported:
        """Write the files of a deployment, with its configuration file, into a folder.

        Args:
            name: The API or splitter, which has no files but its configuration.
            folder: An empty folder, or one that is made.
            revision: A number of its history, or the beginning of a revision; None takes the one that serves.

        Raises:
            NotDeployedError: There is none of that name.
            CortexError: There is no such deployment, or its files cannot be written there.
        """
        history = self.history(name)
        record = history.require_serving() if revision is None else history.find(str(revision))
        return export(self.cloud, self.cluster.resources.bucket, record, Path(folder))
