"""The resource type of Certificate Manager: requested certificates."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

from moto.acm.exceptions import CertificateNotFound
from moto.acm.models import acm_backends

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_dict, as_list
from cortex_cdk.localcloud.services.route53 import zones


def backend(place: Place) -> Any:
    """Return moto's Certificate Manager of a region."""
    return acm_backends[place.account][place.region]


class Certificate(Resource):
    """A certificate. CloudFormation writes the record that proves a domain in a hosted zone, and leaves it there."""

    type = "AWS::CertificateManager::Certificate"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """RequestCertificate, which waits for the proof: here it is issued at once."""
        for option in properties.get("DomainValidationOptions", []):
            if zone_id := option.get("HostedZoneId"):
                _prove(option["DomainName"], zones.find(place, {"HostedZoneId": zone_id}))
        arn = backend(place).request_certificate(
            properties["DomainName"],
            idempotency_token=None,
            subject_alt_names=list(properties.get("SubjectAlternativeNames", [])),
            tags=as_list(properties.get("Tags")),
        )
        return cls(arn)

    def update(self, properties: Properties, place: Place) -> None:
        """Tags."""
        tags = backend(place).get_certificate(self.physical_resource_id).tags
        tags.clear()
        tags.update(as_dict(properties.get("Tags")))

    def delete(self, place: Place) -> None:
        """DeleteCertificate."""
        with suppress(CertificateNotFound):
            backend(place).delete_certificate(self.physical_resource_id)


def _prove(domain: str, zone: Any) -> None:
    digest = hashlib.sha256(domain.encode()).hexdigest()[:32]
    name = f"_{digest}.{domain}."
    zones.check_name(zone, name)
    record = {"Name": name, "Type": "CNAME", "TTL": 300}
    zone.upsert_rrset({**record, "ResourceRecords": [f"_{digest[::-1]}.acm-validations.aws."]})
