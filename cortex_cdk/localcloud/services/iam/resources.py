"""The resource types of IAM: roles, inline policies and instance profiles."""

from __future__ import annotations

import json
from typing import Any

from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from cortex_cdk.localcloud.cloudformation.resource import Place, Properties, Resource
from cortex_cdk.localcloud.cloudformation.tags import as_list


def backend(place: Place) -> Any:
    """Return moto\'s IAM of a partition."""
    return iam_backends[place.account][get_partition(place.region)]


class Role(Resource):
    """A role with its own and attached policies."""

    type = "AWS::IAM::Role"
    name_property = "RoleName"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateRole."""
        role = backend(place).create_role(
            # CloudFormation makes names that fit IAM's limit.
            role_name=name[-64:] if name != properties.get("RoleName") else name,
            assume_role_policy_document=json.dumps(properties["AssumeRolePolicyDocument"]),
            path=properties.get("Path", "/"),
            permissions_boundary=properties.get("PermissionsBoundary"),
            description=properties.get("Description", ""),
            tags=as_list(properties.get("Tags")),
            max_session_duration=properties.get("MaxSessionDuration", 3600),
        )
        made = cls(role.name, {"Arn": role.arn, "RoleId": role.id})
        made._set_policies(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """Trust, description, policies, boundary and tags."""
        iam, name = backend(place), self.physical_resource_id
        iam.update_role(name, properties.get("Description", ""), properties.get("MaxSessionDuration", 3600))
        iam.update_assume_role_policy(name, json.dumps(properties["AssumeRolePolicyDocument"]))
        iam.get_role(name).tags = as_list(properties.get("Tags"))
        iam.get_role(name).permissions_boundary_arn = properties.get("PermissionsBoundary")
        self._set_policies(properties, place)

    def delete(self, place: Place) -> None:
        """DeleteRole, after its policies."""
        self._set_policies({}, place)
        backend(place).delete_role(self.physical_resource_id)

    def _set_policies(self, properties: Properties, place: Place) -> None:
        iam, name = backend(place), self.physical_resource_id
        role = iam.get_role(name)
        attached = properties.get("ManagedPolicyArns", [])
        for arn in [known for known in role.managed_policies if known not in attached]:
            iam.detach_role_policy(arn, name)
        for arn in [new for new in attached if new not in role.managed_policies]:
            iam.attach_role_policy(arn, name)
        inline = {policy["PolicyName"]: policy["PolicyDocument"] for policy in properties.get("Policies", [])}
        for gone in [known for known in self.attributes.get("Policies", []) if known not in inline]:
            iam.delete_role_policy(name, gone)
        for policy_name, document in inline.items():
            iam.put_role_policy(name, policy_name, json.dumps(document))
        self.attributes["Policies"] = list(inline)


class Policy(Resource):
    """An inline policy of roles."""

    type = "AWS::IAM::Policy"
    name_property = "PolicyName"

    def __init__(self, name: str, roles: list[str]) -> None:
        super().__init__(name)
        self.roles = roles

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """PutRolePolicy for each role."""
        made = cls(properties["PolicyName"], [])
        made.update(properties, place)
        return made

    def update(self, properties: Properties, place: Place) -> None:
        """PutRolePolicy for each role, and DeleteRolePolicy for roles that are no longer named."""
        if properties.get("Users") or properties.get("Groups"):
            raise ValueError("The local cloud attaches inline policies to roles only, not to users or groups")
        iam, wanted = backend(place), list(properties.get("Roles", []))
        for role in [known for known in self.roles if known not in wanted]:
            iam.delete_role_policy(role, self.physical_resource_id)
        for role in wanted:
            iam.put_role_policy(role, self.physical_resource_id, json.dumps(properties["PolicyDocument"]))
        self.roles = wanted

    def delete(self, place: Place) -> None:
        """DeleteRolePolicy for each role."""
        for role in self.roles:
            backend(place).delete_role_policy(role, self.physical_resource_id)


class InstanceProfile(Resource):
    """An instance profile and its role."""

    type = "AWS::IAM::InstanceProfile"
    name_property = "InstanceProfileName"

    @classmethod
    def create(cls, name: str, properties: Properties, place: Place) -> Resource:
        """CreateInstanceProfile."""
        profile = backend(place).create_instance_profile(name, properties.get("Path", "/"), list(properties["Roles"]))
        return cls(name, {"Arn": profile.arn})

    def update(self, properties: Properties, place: Place) -> None:
        """Another role."""
        iam, name = backend(place), self.physical_resource_id
        for role in list(iam.get_instance_profile(name).roles):
            iam.remove_role_from_instance_profile(name, role.name)
        for role_name in properties["Roles"]:
            iam.add_role_to_instance_profile(name, role_name)

    def delete(self, place: Place) -> None:
        """DeleteInstanceProfile."""
        backend(place).delete_instance_profile(self.physical_resource_id, ignore_attached_roles=True)
