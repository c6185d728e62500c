"""What a deployment changes, in the words of its user: files of the project, fields of ``cortex.yaml``.

A template is made from a specification, and has its digest. The configuration lies in the cluster's bucket under
that digest, and the project's archive under its own, so that both can be compared with what is to be deployed. Of the
archive only the list of its files is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.contract import TRAFFIC_SPLITTER

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.stored_object import StoredObject
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.config.written import value_as_written
from cortex_cdk.deploy.plan import StackPlan
from cortex_cdk.project.listing import FileMark, listing
from cortex_cdk.synthesis.deployed_configuration import read_configuration
from cortex_cdk.synthesis.specs import ApiStackSpec

_SECRETS = "predictor.env."
"""Fields whose values are not shown."""
_LONGEST = 60
"""Characters of a value that is shown."""
MOST_FILES = 5
"""Files that are named in one line."""
_OTHER_IMAGE = "another image, for other dependencies or another version of cortex"
_NAMELESS = "none of your files and fields (the cluster or the version of cortex is another one)"


@dataclass(frozen=True)
class Setting:
    """A field of ``cortex.yaml`` with another value.

    Attributes:
        field: Such as ``autoscaling.max_replicas``.
        before: The value that is deployed; None where there is none.
        after: The value that is wanted; None where there is none.
    """

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.field.startswith(_SECRETS):
            return f"{self.field} (its value)"
        return f"{self.field}: {_shown(self.field, self.before)} -> {_shown(self.field, self.after)}"


@dataclass(frozen=True)
class Differences:
    """What an update of an API or traffic splitter changes.

    Attributes:
        added: Files of the project that are new.
        changed: Files with another content.
        removed: Files that are gone.
        settings: Fields of ``cortex.yaml``.
        replaces_replicas: Whether the API gets a new revision, so that its replicas are replaced.
        other_image: Whether the replicas get another image.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    replaces_replicas: bool = False
    other_image: bool = False

    def lines(self) -> Iterator[str]:
        """Say what changes, and what that means for the replicas."""
        yield from self.changes()
        yield "a new revision replaces the replicas" if self.replaces_replicas else "no replica is replaced"

    def changes(self) -> Iterator[str]:
        """Say what changes, a line for each kind of file and for each field."""
        for what, files in (("new", self.added), ("changed", self.changed), ("removed", self.removed)):
            if files:
                more = f" and {len(files) - MOST_FILES} more" if len(files) > MOST_FILES else ""
                yield f"{what} file{'s' * (len(files) > 1)}: {', '.join(files[:MOST_FILES])}{more}"
        yield from map(str, self.settings)
        if self.other_image:
            yield _OTHER_IMAGE
        elif not (self.added or self.changed or self.removed or self.settings):
            yield _NAMELESS

    def as_json(self) -> dict[str, Any]:
        """What ``cortex deploy -o json`` prints."""
        return {
            "files": {"added": self.added, "changed": self.changed, "removed": self.removed},
            "settings": [
                {"field": one.field}
                if one.field.startswith(_SECRETS)
                else {"field": one.field, "before": one.before, "after": one.after}
                for one in self.settings
            ],
            "replaces_replicas": self.replaces_replicas,
        }


def differences(cloud: Cloud, bucket: str, plan: StackPlan, archive: Path | None) -> Differences | None:
    """Compare what a plan deploys with what is deployed.

    Args:
        cloud: Where that is.
        bucket: The cluster's bucket.
        plan: The update of a stack.
        archive: The project that is to be deployed; None where it is in the bucket.

    Returns:
        None where there is nothing to compare with: the stack is new, or half-way between two states, or the archive of
        what is deployed cannot be read.
    """
    stack = plan.stack
    if stack is None or plan.recovery or not plan.changes:
        return None
    deployed = read_configuration(cloud, bucket, stack.outputs.get(names.Output.SPEC_DIGEST, ""))
    wanted = plan.release.resource.model_dump(mode="json")
    settings = tuple(_settings(_fields(deployed), _fields(wanted))) if deployed else ()
    if not isinstance(plan.release.spec, ApiStackSpec):
        return Differences(settings=settings) if deployed else None
    known, parameter = stack.parameters, names.Parameter
    key, wanted_key = known.get(parameter.PROJECT_KEY, ""), plan.parameters[parameter.PROJECT_KEY]
    before: Mapping[str, FileMark] = {}
    after: Mapping[str, FileMark] = {}
    if key != wanted_key:
        before, after = listing(StoredObject.open(cloud, bucket, key)), _wanted(cloud, bucket, wanted_key, archive)
        if not before:
            return None
    return Differences(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(sorted(name for name in after.keys() & before.keys() if after[name] != before[name])),
        removed=tuple(sorted(before.keys() - after.keys())),
        settings=settings,
        replaces_replicas=plan.replaces_replicas,
        other_image=known.get(parameter.IMAGE) != plan.parameters[parameter.IMAGE],
    )


def _wanted(cloud: Cloud, bucket: str, key: str, archive: Path | None) -> Mapping[str, FileMark]:
    return listing(StoredObject.open(cloud, bucket, key) if archive is None else archive.open("rb"))


def _fields(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Each field by its path; the weight of each member of a traffic splitter by the member's name."""
    if value.get("kind") == TRAFFIC_SPLITTER:
        value = {**value, "apis": {member["name"]: {"weight": member["weight"]} for member in value["apis"]}}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            found.update(_fields(inner, f"{prefix}{name}."))
        elif inner is not None and inner != {}:
            found[f"{prefix}{name}"] = inner
    return found


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Setting]:
    for field in dict.fromkeys([*after, *before]):
        if before.get(field) != after.get(field):
            yield Setting(field, before.get(field), after.get(field))


def _shown(field: str, value: Any) -> str:
    """Write a value as in ``cortex.yaml``: other values than quantities as JSON."""
    if value is None:
        return "none"
    written = value_as_written(RealtimeApi, field.split("."), value)
    is_quantity = isinstance(written, str) and not isinstance(value, str)
    text = written if is_quantity else json.dumps(written, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
