"""Deploys an API or splitter again as a record of its history has it, without the user's files.

It goes the way of every other deployment (``Deployer``): the same checks, plan, change set and waiting. Only what is
deployed comes from a record. An update that runs is given up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cortex_serving.contract import CONFIG_FILE
from pydantic import ValidationError

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.clusters.running import RunningCluster
from cortex_cdk.config import Config, RealtimeApi, TrafficSplitter
from cortex_cdk.config.realtime_api import MODELS
from cortex_cdk.deploy import assets
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.deploy.deployer import Deployer, Options
from cortex_cdk.deploy.deployment import Wanted
from cortex_cdk.deploy.recording import Occasion, Recorder
from cortex_cdk.deploy.user_images import by_digest
from cortex_cdk.errors import DeployError, Finding, PreflightError
from cortex_cdk.history.record import DEPLOYED, IN_PROGRESS, INTERRUPTED, ROLL_BACK, Record
from cortex_cdk.history.releases import History, read_history
from cortex_cdk.secrets.lookup import look_up
from cortex_cdk.stack_operations.progress import Progress
from cortex_cdk.synthesis.deployed_configuration import read_configuration


def roll_back(
    cloud: Cloud,
    cluster: RunningCluster,
    progress: Progress,
    name: str,
    *,
    revision: str | None = None,
    message: str | None = None,
) -> tuple[Applied, dict[str, int]]:
    """Deploy an API or splitter as it was deployed before.

    Args:
        cloud: A session of the environment.
        cluster: The cluster.
        progress: Hears how it goes.
        name: The API or splitter.
        revision: A number of its history, or the beginning of a revision; None goes back to what served before.
        message: Why, in the user's words.

    Returns:
        What became of it, and how many replicas there should be at least: by API, and empty for a splitter.

    Raises:
        NotDeployedError: There is none of that name.
        CortexError: Nothing was changed; the message says why.
    """
    history = read_history(cloud, cluster.resources.bucket, cluster.name, name)
    target = history.find(revision) if revision else history.to_roll_back_to()
    if target.outcome != DEPLOYED:
        progress.step(name, f"warning: {target.name} did not serve when it was deployed: {target.reason or 'unknown'}")
    resource = _recorded(cloud, cluster, target)
    apis, splitters = ((resource,), ()) if isinstance(resource, RealtimeApi) else ((), (resource,))
    if apis:
        _require_parts(cloud, cluster, target)
    file = target.release.file
    config = Config(Path(file.name if file else CONFIG_FILE), Path(), apis, splitters, ())
    secrets = look_up(cloud, config.secret_references)
    wanted = Wanted(config, target.release.archive, {name: target.release.image}, force=True, secrets=secrets)
    progress.step(name, f"going back to {target.title}")
    deployer = Deployer(cloud, cluster, progress, Options(force=True, message=message))
    occasion = Occasion(ROLL_BACK, target.number, message, target.commit, file)
    done = _in_words(history, target, deployer.restore(wanted, occasion))
    given_up = history.records[0]
    if given_up.outcome == IN_PROGRESS and not done.error:
        # Its own command may be gone, and would not write that.
        reason = f"given up for a roll-back to {target.name}"
        Recorder(cloud, cluster, progress, occasion).end(given_up, INTERRUPTED, reason)
    return done, {api.name: api.autoscaling.min_replicas for api in apis}


def _recorded(cloud: Cloud, cluster: RunningCluster, record: Record) -> RealtimeApi | TrafficSplitter:
    """The API or splitter as a record has it."""
    fields = read_configuration(cloud, cluster.resources.bucket, record.release.specification)
    way = f"deploy from its files: cortex export {record.api} {record.name} DIR"
    if not fields:
        key = names.configuration_key(record.release.specification)
        raise DeployError(f"{record.api}: the configuration of {record.name} is gone from the bucket ({key})", hint=way)
    try:
        return MODELS[record.kind].model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise DeployError(
            f"{record.api}: this version of cortex does not take the configuration of {record.name} (made by "
            f"{record.version or 'another version'}): {field}: {first['msg']}",
            hint=way,
        ) from error


def _require_parts(cloud: Cloud, cluster: RunningCluster, record: Record) -> None:
    """Look whether archive and image of a record are there.

    Raises:
        PreflightError: One is not.
    """
    found = list(_missing_parts(cloud, cluster, record))
    if found:
        raise PreflightError("nothing was rolled back", found)


def _missing_parts(cloud: Cloud, cluster: RunningCluster, record: Record) -> Iterator[Finding]:
    release = record.release
    key = names.project_key(record.api, release.archive)
    if not assets.exists(cloud, cluster.resources.bucket, key):
        yield Finding(
            record.api,
            f"the files of {record.name} are gone from the bucket ({key})",
            "go back to another one (cortex history), or remove the object's delete marker within 30 days",
        )
    if by_digest(cloud, release.image) is None:
        yield Finding(
            record.api,
            f"the image of {record.name} is gone from its repository ({release.image})",
            f"deploy from its files, which builds the image anew: cortex export {record.api} {record.name} DIR",
        )


def _in_words(history: History, target: Record, applied: Applied) -> Applied:
    """Say what a roll-back did: it may have had to give an update up, and nothing else."""
    title = f"{applied.name} ({applied.kind})"
    if applied.error:
        return replace(applied, message=f"{title} was not rolled back")
    if applied.changed:
        return replace(applied, message=f"rolled {title} back to {target.name}")
    if history.stack and not history.is_settled:
        return replace(applied, message=f"{title} is back at {target.name}", changed=True)
    serving = history.serving
    number = f", as {serving.name}" if serving and serving.number != target.number else ""
    return replace(applied, message=f"{title} is at {target.name} already{number}")
