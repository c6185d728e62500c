"""Environments: where commands go."""

import stat
from pathlib import Path

import pytest

from cortex_cdk.environment import Environment, load_environments, save_environments
from cortex_cdk.errors import CloudError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_local_is_there_without_a_file_and_is_the_default() -> None:
    environments = load_environments()
    assert environments.default == "local"
    assert environments.get(None).makes_its_cluster


def test_what_is_saved_comes_back(home: Path) -> None:
    prod = Environment("prod", cluster="main", region="eu-west-1", profile="ops")
    save_environments(load_environments().with_environment(prod))
    assert load_environments().get("prod") == prod
    assert stat.S_IMODE((home / "environments.yaml").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["environments.yaml"]


def test_the_default_falls_back_to_local_when_its_environment_is_deleted() -> None:
    environments = load_environments().with_environment(Environment("prod"))
    save_environments(type(environments)("prod", environments.all))
    assert load_environments().get(None).name == "prod"
    assert load_environments().without("prod").default == "local"


def test_an_unknown_name_is_told_with_those_that_exist() -> None:
    with pytest.raises(CloudError, match=r"'prod' does not exist \(there are: local\)") as error:
        load_environments().get("prod")
    assert error.value.hint == "make it with: cortex env configure prod"


def test_local_cannot_be_deleted() -> None:
    with pytest.raises(CloudError, match="cannot be deleted"):
        load_environments().without("local")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("default: [", "line 1: expected the node content, but found '<stream end>'"),
        ("default: \0", "a character is not allowed in YAML"),
        ("[]", "a map with the fields default and environments is expected"),
        ("default: local", "a map with the fields default and environments is expected"),
        ("default: local\nenvironments: 3", "default must be a name, and environments a list"),
        ("default: local\nenvironments: [prod]", "each environment must be a map with a name"),
        ("default: local\nenvironments: [{nme: x}]", "each environment must be a map with a name"),
        ("default: local\nenvironments: [{name: x, reigon: y}]", "unknown field reigon (did you mean region?)"),
        ("default: local\nenvironments: [{name: x, 3: y}]", "unknown field 3"),
        ("default: local\nenvironments: [{name: 7}]", "name must be text, not 7"),
    ],
)
def test_a_broken_file_is_told_with_its_path_and_the_reason(home: Path, text: str, reason: str) -> None:
    home.mkdir()
    (home / "environments.yaml").write_text(text)
    with pytest.raises(CloudError, match=r"environments\.yaml is not a file of environments") as error:
        load_environments()
    assert error.value.details == (reason,)


def test_a_profile_of_the_user_that_does_not_exist_does_not_matter_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cortex_cdk.aws.cloud import Cloud

    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    assert cloud.ecs.meta.endpoint_url == "http://127.0.0.1:9"
