"""The resource type of CloudWatch Logs: log groups."""

from __future__ import annotations

from typing import Any

from moto.logs.models import logs_backends

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_dict


def backend(place: Place) -> Any:
    """Return moto\'s CloudWatch Logs of a region."""
    return logs_backends[place.account][place.region]


class LogGroup(Resource):
    """A log group, and its retention."""

    type = "AWS::Logs::LogGroup"
    name_property = "LogGroupName"

    @classmethod
    def exists(cls, name: str, place: Place) -> bool:
        """Return whether there is a log group of this name."""
        return name in backend(place).groups

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateLogGroup."""
        group = backend(place).create_log_group(name, {})
        made = cls(name, {"Arn": f"{group.arn}:*"})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """PutRetentionPolicy and tags."""
        logs, name = backend(place), self.physical_resource_id
        if "RetentionInDays" in properties:
            logs.put_retention_policy(name, properties["RetentionInDays"])
        else:
            logs.delete_retention_policy(name)
        arn, wanted = logs.groups[name].arn, as_dict(properties.get("Tags"))
        known = logs.list_tags_for_resource(arn)
        logs.untag_resource(arn, [key for key in known if key not in wanted])
        logs.tag_resource(arn, wanted)

    def actual(self, expected: Properties, place: Place) -> Properties | None:
        """The retention."""
        group = backend(place).groups.get(self.physical_resource_id)
        return {"RetentionInDays": group.retention_in_days and int(group.retention_in_days)} if group else None

    def delete(self, place: Place) -> None:
        """DeleteLogGroup."""
        backend(place).delete_log_group(self.physical_resource_id)
