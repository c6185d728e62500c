"""Loads ``cluster.yaml``, also one of the original Cortex."""

from __future__ import annotations

from pathlib import Path

from cortex_cdk.config.checks.legacy_cluster import modernize
from cortex_cdk.config.cluster import Cluster
from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.document import read_document
from cortex_cdk.errors import ConfigError
from cortex_cdk.names import CLUSTER_FILE


def load_cluster(path: Path, *, name: str | None = None, region: str | None = None) -> Cluster:
    """Load and check a cluster's configuration file; files of the original Cortex too.

    Args:
        path: The file, or a folder that holds ``cluster.yaml``.
        name: The cluster's name if the file gives none.
        region: The AWS region if the file gives none.

    Returns:
        The cluster.

    Raises:
        ConfigError: All problems, in the order of the file.
    """
    document = read_document(path / CLUSTER_FILE if path.is_dir() else path)
    diagnosis = Diagnosis(document, (), "")
    if isinstance(document.data, dict):
        modernize(document, diagnosis)
        for field, value in (("name", name), ("region", region)):
            if value and document.data.get(field) is None:
                document.data[field] = value
        cluster = diagnosis.validate(Cluster)
    else:
        cluster = None
        diagnosis.add((), "must be a map with name, region and more")
    problems = [*document.problems, *diagnosis.problems]
    if problems or cluster is None:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    return cluster
