"""Amazon ECR: image repositories."""

from __future__ import annotations

from typing import Any

from moto.ecr.models import ecr_backends

from cortex_cdk.localcloud.cloudformation.casing import camel
from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_list


def backend(place: Place) -> Any:
    """moto's ECR of a region."""
    return ecr_backends[place.account][place.region]


class Repository(Resource):
    """An image repository."""

    type = "AWS::ECR::Repository"
    name_property = "RepositoryName"

    @classmethod
    def exists(cls, name: str, place: Place) -> bool:
        """Return whether there is a repository of that name."""
        return name in backend(place).repositories

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateRepository."""
        repository = backend(place).create_repository(
            name,
            None,
            camel(properties.get("EncryptionConfiguration")),
            camel(properties.get("ImageScanningConfiguration")),
            properties.get("ImageTagMutability", "MUTABLE"),
            as_list(properties.get("Tags")),
        )
        made = cls(name, {"Arn": repository.arn, "RepositoryUri": repository.uri})
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Tag mutability, scanning, lifecycle, policy and tags."""
        ecr, name = backend(place), self.physical_resource_id
        repository = ecr.repositories[name]
        ecr.put_image_tag_mutability(None, name, properties.get("ImageTagMutability", "MUTABLE"))
        scanning = camel(properties.get("ImageScanningConfiguration", {"ScanOnPush": False}))
        ecr.put_image_scanning_configuration(None, name, scanning)
        lifecycle = properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        repository.lifecycle_policy = None
        if lifecycle:
            ecr.put_lifecycle_policy(None, name, lifecycle)
        ecr.tagger.delete_all_tags_for_resource(repository.arn)
        ecr.tagger.tag_resource(repository.arn, as_list(properties.get("Tags")))
        self.attributes["EmptyOnDelete"] = bool(properties.get("EmptyOnDelete"))

    def delete(self, place: Place) -> None:
        """DeleteRepository, with its images if the template says so."""
        backend(place).delete_repository(self.physical_resource_id, force=self.attributes["EmptyOnDelete"])
