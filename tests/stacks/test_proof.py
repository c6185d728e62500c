"""Every template of the matrix passes the checkers and keeps what all templates promise."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks
from cortex_stacks.app import add_stack, make_app

from cortex_cdk.aws.permissions.resource_types import RESOURCE_TYPES
from cortex_cdk.stack_operations.create_only import ALWAYS, PERHAPS, TABLE
from cortex_cdk.synthesis.specs import ClusterStackSpec
from tests.golden_file import compare
from tests.stacks.matrix import every_spec

# Quota of CloudFormation for a template in the request itself.
INLINE_LIMIT_BYTES = 51_200
NAMES = [spec.stack_name for spec in every_spec()]
CLUSTER_OF = {
    spec.stack_name: spec.cluster.name if isinstance(spec, ClusterStackSpec) else spec.cluster.cluster
    for spec in every_spec()
}


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole matrix, checked by the CDK's own rules (as errors) and by cdk-nag: findings make the synthesis fail."""
    folder = tmp_path_factory.mktemp("cdk.out")
    app = make_app(str(folder))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    for spec in every_spec():
        add_stack(app, spec)
    app.synth()
    return folder


@pytest.fixture(scope="module")
def templates(assembly: Path) -> dict[str, dict[str, Any]]:
    return {name: json.loads((assembly / f"{name}.template.json").read_text()) for name in NAMES}


def test_the_rules_of_the_cdk_and_of_nag_find_nothing(assembly: Path) -> None:
    report = json.loads((assembly / "validation-report.json").read_text())
    assert [found for plugin in report["pluginReports"] for found in plugin["violations"]] == []


def test_the_rules_are_in_force(tmp_path: Path) -> None:
    """Both checkers refuse a bucket that only they can know to be wrong."""
    app = make_app(str(tmp_path))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    bucket = s3.CfnBucket(cdk.Stack(app, "Careless"), "Bucket")
    bucket.add_property_override("Nonsense", True)
    with pytest.raises(RuntimeError) as refused:
        app.synth()
    assert "AwsSolutions-S1" in str(refused.value.__cause__)
    assert "F3002" in str(refused.value.__cause__)


def test_cfn_lint_finds_nothing(assembly: Path) -> None:
    files = [str(assembly / f"{name}.template.json") for name in NAMES]
    # W3010: the zones are those that the user's cluster.yaml names.
    lint = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W3010", "--template", *files]
    found = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_fits_into_a_request(templates: dict[str, dict[str, Any]], name: str) -> None:
    assert len(json.dumps(templates[name]).encode()) < INLINE_LIMIT_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_stands_alone(templates: dict[str, dict[str, Any]], name: str) -> None:
    """No exports and imports, no assets, no bootstrapped account, no custom resources."""
    template = templates[name]
    text = json.dumps(template)
    assert not [output for output in template["Outputs"].values() if "Export" in output]
    for word in ("Fn::ImportValue", "Fn::GetStackOutput", "cdk-bootstrap", "aws:asset", "Custom::", "AWS::Lambda"):
        assert word not in text
    assert "Rules" not in template


@pytest.mark.parametrize("name", NAMES)
def test_holds_no_secrets(templates: dict[str, dict[str, Any]], name: str) -> None:
    """Neither literal credentials nor references to resolve some."""
    text = json.dumps(templates[name])
    for word in ("AKIA", "BEGIN PRIVATE", "resolve:secretsmanager", "resolve:ssm-secure"):
        assert word not in text


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_can_be_tagged_is(templates: dict[str, dict[str, Any]], name: str) -> None:
    cluster = CLUSTER_OF[name]
    tagged = [r["Properties"]["Tags"] for r in templates[name]["Resources"].values() if "Tags" in r["Properties"]]
    assert tagged
    for tags in tagged:
        assert ("cortex:cluster", cluster) in {(tag["Key"], tag["Value"]) for tag in tags}


def test_the_deployers_policy_knows_every_type(templates: dict[str, dict[str, Any]]) -> None:
    """CloudFormation makes, changes and deletes resources with the permissions of whoever deploys."""
    of_clusters: set[str] = set()
    of_apis: set[str] = set()
    for name in NAMES:
        types = {resource["Type"] for resource in templates[name]["Resources"].values()}
        (of_clusters if name.endswith("-cluster") else of_apis).update(types)
    assert of_clusters | of_apis <= set(RESOURCE_TYPES)
    assert not {kind for kind in of_apis if not any(grant.deploys for grant in RESOURCE_TYPES[kind])}


def test_logical_ids_do_not_depend_on_names(templates: dict[str, dict[str, Any]]) -> None:
    """Otherwise a template could not be compared with that of another API, and a rename would replace everything."""
    plain, large = templates["cortex-types-api-plain"], templates["cortex-types-api-large"]
    assert set(plain["Resources"]) == set(large["Resources"])


_CFN_LINT = find_spec("cfnlint")
assert _CFN_LINT
SCHEMAS = Path(str(_CFN_LINT.origin)).parent / "data" / "schemas"
# Types that stacks may get, besides those of the templates that are proven here.
MORE_TYPES = (
    "AWS::CertificateManager::Certificate",
    "AWS::EC2::VPCEndpoint",
    "AWS::KMS::Key",
    "AWS::Route53::RecordSet",
    "AWS::SecretsManager::Secret",
)


def test_the_table_of_what_replaces_a_resource_is_that_of_the_published_schemas(
    templates: dict[str, dict[str, Any]],
) -> None:
    """A plan says what is made anew by this table; the schemas themselves are no part of the package."""
    index = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text())
    kinds = {resource["Type"] for template in templates.values() for resource in template["Resources"].values()}
    table = {}
    for kind in sorted({*kinds, *MORE_TYPES}):
        schema = json.loads((SCHEMAS / "resources" / f"{index[kind]}.json").read_text())
        table[kind] = {
            verdict: sorted(path.removeprefix("/properties/") for path in schema.get(name, []))
            for verdict, name in ((ALWAYS, "createOnlyProperties"), (PERHAPS, "conditionalCreateOnlyProperties"))
        }
    compare(json.dumps(table, indent=1) + "\n", TABLE)
