"""Amazon S3: buckets and their policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3 import models as s3_models
from moto.s3.cloud_formation import cfn_to_api_encryption
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_dict

RULE_NAMES = {
    "Id": "ID",
    "ExpirationInDays": "Expiration",
    "NoncurrentVersionTransitions": "NoncurrentVersionTransition",
}
"""Names of a lifecycle rule that CloudFormation and S3 write differently."""


TRANSPORT = "aws:SecureTransport"


class LoopbackBucket(s3_models.FakeBucket):
    """moto's bucket, to which every request comes over the loopback interface: as good as TLS.

    moto does not know conditions on the transport, and would refuse every request to a bucket that demands TLS.
    """

    def get_permission(self, action: str, resource: str) -> Any:
        """What the bucket's policy says of an action, demands on the transport aside."""
        if self.policy is None:
            return PermissionResult.NEUTRAL
        policy = json.loads(self.policy)
        policy["Statement"] = [s for s in policy["Statement"] if TRANSPORT not in json.dumps(s.get("Condition", {}))]
        return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)


# moto's back end makes its buckets by this name.
s3_models.FakeBucket = LoopbackBucket  # type: ignore[misc]


def backend(place: Place) -> Any:
    """moto's S3 of a partition."""
    return s3_backends[place.account][get_partition(place.region)]


class Bucket(Resource):
    """A bucket."""

    type = "AWS::S3::Bucket"
    name_property = "BucketName"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateBucket."""
        bucket = backend(place).create_bucket(name, place.region)
        attributes = {
            "Arn": bucket.arn,
            "DomainName": bucket.domain_name,
            "DualStackDomainName": bucket.dual_stack_domain_name,
            "RegionalDomainName": bucket.regional_domain_name,
        }
        made = cls(name, attributes)
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Versioning, encryption, public access, lifecycle and tags."""
        s3, name = backend(place), self.physical_resource_id
        if "VersioningConfiguration" in properties:
            s3.put_bucket_versioning(name, properties["VersioningConfiguration"]["Status"])
        if "BucketEncryption" in properties:
            s3.put_bucket_encryption(name, cfn_to_api_encryption(properties["BucketEncryption"]))
        if "PublicAccessBlockConfiguration" in properties:
            s3.put_public_access_block(name, _as_text(properties["PublicAccessBlockConfiguration"]))
        rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
        if rules:
            s3.put_bucket_lifecycle(name, [_rule(rule) for rule in rules])
        else:
            s3.delete_bucket_lifecycle(name)
        s3.put_bucket_tagging(name, as_dict(properties.get("Tags")))

    def delete(self, place: Place) -> None:
        """DeleteBucket, which S3 refuses while there are objects."""
        name = self.physical_resource_id
        if backend(place).delete_bucket(name) is None:
            raise ValueError(f"The bucket you tried to delete is not empty: {name}")


class BucketPolicy(Resource):
    """The policy of a bucket."""

    type = "AWS::S3::BucketPolicy"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """PutBucketPolicy."""
        made = cls(properties["Bucket"])
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """PutBucketPolicy."""
        policy = json.dumps(properties["PolicyDocument"]).encode()
        backend(place).put_bucket_policy(self.physical_resource_id, policy)

    def delete(self, place: Place) -> None:
        """DeleteBucketPolicy."""
        backend(place).delete_bucket_policy(self.physical_resource_id)


def _as_text(switches: Mapping[str, Any]) -> dict[str, str]:
    """moto keeps the switches as they come out of XML."""
    return {name: str(value).lower() for name, value in switches.items()}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lifecycle rule as the API has it."""
    renamed = {RULE_NAMES.get(name, name): value for name, value in rule.items()}
    if "ExpirationInDays" in rule:
        renamed["Expiration"] = {"Days": rule["ExpirationInDays"]}
    prefix = renamed.pop("Prefix", None)
    return {**renamed, "Filter": {"Prefix": prefix or ""}}
