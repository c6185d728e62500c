"""AWS CodeBuild: projects."""

from __future__ import annotations

from typing import Any

from moto.codebuild.models import codebuild_backends

from cortex_cdk.localcloud.cloudformation.casing import camel
from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, PutResource
from cortex_cdk.localcloud.cloudformation.tags import as_lower


def backend(place: Place) -> Any:
    """moto's CodeBuild of a region."""
    return codebuild_backends[place.account][place.region]


class Project(PutResource):
    """A build project."""

    type = "AWS::CodeBuild::Project"
    name_property = "Name"

    @classmethod
    def exists(cls, name: str, place: Place) -> bool:
        """Return whether there is a project of that name."""
        return name in backend(place).codebuild_projects

    def update(self, properties: Properties, place: Place) -> None:
        """CreateProject. moto has no UpdateProject; creating it again changes it, and its builds are kept."""
        codebuild, get = backend(place), properties.get
        builds = codebuild.build_history.get(self.physical_resource_id, [])
        project = codebuild.create_project(
            self.physical_resource_id,
            get("Description"),
            camel(properties["Source"]),
            camel(properties["Artifacts"]),
            camel(properties["Environment"]),
            properties["ServiceRole"],
            as_lower(get("Tags")),
            camel(get("Cache")),
            get("TimeoutInMinutes"),
            get("QueuedTimeoutInMinutes"),
            get("SourceVersion"),
            camel(get("LogsConfig")),
            camel(get("VpcConfig")),
        )
        codebuild.build_history[self.physical_resource_id] = builds
        self.attributes["Arn"] = project["arn"]

    def delete(self, place: Place) -> None:
        """DeleteProject."""
        backend(place).delete_project(self.physical_resource_id)
