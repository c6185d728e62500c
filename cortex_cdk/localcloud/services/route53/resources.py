"""The resource type of Route 53: records."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.services.route53 import zones


class RecordSet(Resource):
    """A record: an alias, or values with a time to live."""

    type = "AWS::Route53::RecordSet"

    def __init__(self, name: str, kind: str, zone_id: str) -> None:
        super().__init__(name)
        self._kind = kind
        self._zone_id = zone_id

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """ChangeResourceRecordSets, with CREATE: a record that somebody else has made stays."""
        zone, record = zones.find(place, properties), _record(properties)
        zones.check_name(zone, record["Name"])
        if any((known.name, known.type) == (record["Name"], record["Type"]) for known in zone.rrsets):
            raise ValueError(
                f"[Tried to create resource record set [name='{record['Name']}', type='{record['Type']}'] but it "
                "already exists]"
            )
        zone.add_rrset(record)
        return cls(record["Name"], record["Type"], zone.resource_id)

    def update(self, properties: Properties, place: Place) -> None:
        """ChangeResourceRecordSets, with UPSERT; a record of another type takes the place of the old one."""
        record = _record(properties)
        if record["Type"] != self._kind:
            self.delete(place)
            self._kind = record["Type"]
        zones.find(place, properties).upsert_rrset(record)

    def delete(self, place: Place) -> None:
        """ChangeResourceRecordSets, with DELETE."""
        with suppress(ValueError):
            zone = zones.find(place, {"HostedZoneId": self._zone_id})
            zone.delete_rrset({"Name": self.physical_resource_id, "Type": self._kind})


def _record(properties: Properties) -> dict[str, Any]:
    return {**properties, "Name": f"{str(properties['Name']).rstrip('.')}."}
