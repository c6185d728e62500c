"""Where images are kept and built: what the builder may do, what it does, and what is removed by whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.stacks.matrix import cluster_spec
from tests.stacks.synthesized import template_of


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return template_of(cluster_spec("plain"), tmp_path_factory.mktemp("cdk.out"))


def all_properties(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource.get("Properties", {}) for name, resource in template.find_resources(kind).items()}


def properties(template: Template, kind: str, name: str = "") -> dict[str, Any]:
    """The properties of the only resource of that type whose name begins so."""
    [found] = [found for key, found in all_properties(template, kind).items() if key.startswith(name)]
    return found


def test_images_are_immutable_and_scanned_and_removed_by_nobody_who_does_not_know_their_use(template: Template) -> None:
    repository = properties(template, "AWS::ECR::Repository")
    assert "LifecyclePolicy" not in repository
    assert repository["RepositoryName"] == "cortex-plain"
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    # A fixed name: kept after a deletion, it would stand in the way of a new cluster of that name.
    assert repository["EmptyOnDelete"] is True


def test_the_builder_builds_and_pushes_what_it_is_told(template: Template) -> None:
    project = properties(template, "AWS::CodeBuild::Project")
    assert project["Name"] == "cortex-plain-image-builder"
    assert project["Environment"]["PrivilegedMode"] is True
    assert project["Source"]["Type"] == "NO_SOURCE"
    spec = json.loads(project["Source"]["BuildSpec"])
    *logins, build, push = spec["phases"]["build"]["commands"]
    assert build.startswith("docker build --build-arg BUILDKIT_INLINE_CACHE=1 $BUILD_OPTIONS --tag ")
    assert push.startswith("docker push ")
    assert all('"$IMAGE_REPOSITORY:$IMAGE_TAG"' in command for command in (build, push))
    assert spec["env"]["variables"]["BUILD_OPTIONS"] == ""
    assert ["docker login" in command for command in logins] == [True, True]
    # Pulls from ECR Public are more often allowed with a login, but possible without.
    assert "public.ecr.aws || echo" in logins[1]


def test_the_builder_reads_contexts_and_pushes_to_its_repository(template: Template) -> None:
    policy = properties(template, "AWS::IAM::Policy", "ImagesRole")["PolicyDocument"]["Statement"]
    [reads] = [statement for statement in policy if "s3:GetObject" in statement["Action"]]
    assert reads["Resource"]["Fn::Join"][1][-1] == "/builds/*"
    [push] = [statement for statement in policy if "ecr:PutImage" in statement["Action"]]
    assert "ImagesRepository" in push["Resource"]["Fn::GetAtt"][0]
    assert {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    } == set(push["Action"]), "what the ECR user guide wants for docker push, and docker build --cache-from"
    [public] = [statement for statement in policy if "ecr-public:GetAuthorizationToken" in statement["Action"]]
    assert "sts:GetServiceBearerToken" in public["Action"]


def test_instances_carry_the_tag_of_ecs_from_the_beginning(template: Template) -> None:
    """Those of a group with a minimum are launched before its capacity provider is there."""
    for group in all_properties(template, "AWS::AutoScaling::AutoScalingGroup").values():
        assert {"Key": "AmazonECSManaged", "Value": "true", "PropagateAtLaunch": True} in group["Tags"]


def test_the_builder_makes_no_log_group(template: Template) -> None:
    """A build that outlives its cluster would make it again, and the next cluster of that name could not be made."""
    policies = all_properties(template, "AWS::IAM::Policy")
    actions = [
        action
        for name, policy in policies.items()
        if name.startswith("Images")
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
    ]
    assert [action for action in actions if action.startswith("logs:")] == ["logs:CreateLogStream", "logs:PutLogEvents"]
