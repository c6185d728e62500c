"""Secrets as environment variables of replicas: set, used, rotated and deleted by a user, and shown nowhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Cortex
from tests.local.waiting import until

PREDICTOR = """\
import hashlib
import os


class PythonPredictor:
    def __init__(self, config):
        self.names = config["names"]

    def predict(self, payload):
        return {name: hashlib.sha256(os.environ[name].encode()).hexdigest() for name in self.names}
"""
TOKEN, PASSWORD, PARAMETER, ROTATED = "t0ken-of-the-first-day", 'pass: ü "word"\nof two lines', "p4rameter", "rot4ted"
SECRETS = {
    # Ends like the ARN of a secret named "my".
    "TOKEN": "my-secret",
    "PASSWORD": "prod/db:password",
    "PORT": {"secret": "prod/db", "key": "port"},
    "PARAMETER": "ssm:/models/token",
    "FLAT": {"parameter": "flat"},
}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder: Path, secrets: dict[str, Any], name: str = "vault", **predictor: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "predictor.py").write_text(PREDICTOR)
    config = {"names": sorted(secrets)}
    entry = {
        "name": name,
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": config, "secrets": secrets, **predictor},
        "compute": {"cpu": "200m", "mem": "200Mi"},
    }
    (folder / "cortex.yaml").write_text(yaml.safe_dump([entry]))
    return folder


def refused(cortex: Cortex, *arguments: str, cwd: Path, stdin: str = "") -> str:
    done = cortex.run(*arguments, cwd=cwd, stdin=stdin)
    assert done.returncode in (1, 2), done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("project"), SECRETS)


@pytest.fixture(scope="module")
def vault(cortex: Cortex, project: Path) -> str:
    """An API that is deployed with secrets of all kinds; what its deployment printed."""
    cortex.json("local", "up")
    assert cortex.ok("secret", "set", "my-secret", stdin=f"{TOKEN}\n") == "made the secret my-secret\n"
    cortex.ok("secret", "set", "prod/db", "--key", "password", stdin=PASSWORD)
    # As other tools write it: a number.
    manager, ssm = cortex.aws("secretsmanager"), cortex.aws("ssm")
    known = json.loads(manager.get_secret_value(SecretId="prod/db")["SecretString"])
    manager.put_secret_value(SecretId="prod/db", SecretString=json.dumps({**known, "port": 5432}))
    ssm.put_parameter(Name="/models/token", Type="SecureString", Value=PARAMETER)
    ssm.put_parameter(Name="flat", Type="String", Value="plain")
    return cortex.ok("deploy", cwd=project)


def answer(cortex: Cortex) -> dict[str, str]:
    found: dict[str, str] = json.loads(cortex.ok("predict", "vault", "-", stdin="{}"))
    return found


def test_what_is_missing_is_found_before_anything_is_made(cortex: Cortex, tmp_path: Path) -> None:
    wrong = {"A": "no-such", "B": "ssm:/no/such", "C": "arn:aws:secretsmanager:us-east-1:123456789012:secret:no-AbCdEf"}
    said = refused(cortex, "deploy", cwd=write(tmp_path, wrong, "early"))
    assert "early: predictor.secrets.A: the secret no-such does not exist" in said
    assert "make it with: cortex secret set no-such\n" in said
    assert "early: predictor.secrets.B: the parameter /no/such does not exist" in said
    assert "aws ssm put-parameter --type SecureString --name /no/such" in said
    assert "correct the ARN" in said
    stacks = {stack["StackName"] for stack in cortex.aws("cloudformation").describe_stacks()["Stacks"]}
    assert "cortex-local-api-early" not in stacks


def test_replicas_get_the_values(cortex: Cortex, vault: str) -> None:
    given = {"TOKEN": TOKEN, "PASSWORD": PASSWORD, "PORT": "5432", "PARAMETER": PARAMETER, "FLAT": "plain"}
    assert answer(cortex) == {name: digest(value) for name, value in given.items()}
    definition = cortex.aws("ecs").describe_services(cluster="cortex-local", services=["vault"])["services"][0]
    passed = cortex.aws("ecs").describe_task_definition(taskDefinition=definition["taskDefinition"])
    (container,) = passed["taskDefinition"]["containerDefinitions"]
    token = next(secret["valueFrom"] for secret in container["secrets"] if secret["name"] == "TOKEN")
    assert token == cortex.aws("secretsmanager").describe_secret(SecretId="my-secret")["ARN"], "found by name alone"


def test_a_missing_key_is_found_before_anything_is_made(cortex: Cortex, vault: str, tmp_path: Path) -> None:
    wrong = {"A": "prod/db:user", "B": "my-secret:user"}
    said = refused(cortex, "deploy", cwd=write(tmp_path, wrong, "early"))
    assert "predictor.secrets.A: the secret prod/db has no key user: its keys are password, port" in said
    assert "cortex secret set prod/db --key user" in said
    assert "predictor.secrets.B: the secret my-secret has no key user: its value is not a JSON object" in said


def shown(cortex: Cortex, deployed: str) -> Iterator[str]:
    """Everything that the commands and the AWS API tell of the API."""
    yield deployed
    for command in (("get",), ("get", "vault", "-v"), ("get", "vault", "-o", "json"), ("secret", "list")):
        yield cortex.ok(*command)
    yield cortex.ok("logs", "vault", "--no-follow")
    cloudformation, s3 = cortex.aws("cloudformation"), cortex.aws("s3")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        yield repr(cloudformation.get_template(StackName=stack["StackName"]))
        yield repr(cloudformation.describe_stack_events(StackName=stack["StackName"]))
    yield repr(cortex.aws("ecs").describe_services(cluster="cortex-local", services=["vault"]))
    for bucket in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            yield s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read().decode(errors="replace")


def test_no_value_is_shown_or_stored_where_others_look(cortex: Cortex, vault: str) -> None:
    for text in shown(cortex, vault):
        for value in (TOKEN, "of two lines", PARAMETER):
            assert value not in text
    state = cortex.home / "local"
    assert state.stat().st_mode & 0o77 == 0
    kept = {state / "records" / "secrets", state / "records" / "parameters"}
    for file in cortex.home.rglob("*"):
        # Links of environments lead out of the folder.
        if file.is_file() and not file.is_symlink() and TOKEN.encode() in file.read_bytes():
            assert file.parent in kept or file == state / "state.snapshot", file
            assert file.stat().st_mode & 0o177 == 0, file


def test_the_list_says_who_uses_what(cortex: Cortex, vault: str) -> None:
    found = {secret["name"]: secret for secret in cortex.json("secret", "list")}
    assert sorted(found) == ["/models/token", "flat", "my-secret", "prod/db"]
    assert all(secret["used_by"] == ["vault"] for secret in found.values())
    assert [found[name]["kind"] for name in sorted(found)] == ["parameter", "parameter", "secret", "secret"]
    assert all(secret["changed"] for secret in found.values())


def test_a_rotated_value_comes_with_a_refresh(cortex: Cortex, vault: str) -> None:
    said = cortex.ok("secret", "set", "my-secret", stdin=ROTATED)
    assert said == (
        "set the secret my-secret\nrunning replicas keep the old value; give them the new one with: "
        "cortex refresh vault\n"
    )
    assert answer(cortex)["TOKEN"] == digest(TOKEN)
    cortex.json("refresh", "vault")
    until(lambda: answer(cortex)["TOKEN"] == digest(ROTATED))


def test_secrets_outlive_the_local_cloud(cortex: Cortex, vault: str) -> None:
    cortex.ok("local", "down")
    cortex.ok("local", "up")
    until(lambda: cortex.json("get", "vault")["status"] == "live")
    assert answer(cortex)["TOKEN"] == digest(ROTATED)


def test_one_key_of_a_secret_is_set_and_others_stay(cortex: Cortex, vault: str) -> None:
    cortex.ok("secret", "set", "prod/db", "--key", "user", "-o", "json", stdin="me")
    kept = json.loads(cortex.aws("secretsmanager").get_secret_value(SecretId="prod/db")["SecretString"])
    assert kept == {"password": PASSWORD, "port": 5432, "user": "me"}


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("set", "empty"), "", "the value for empty is empty"),
        (("set", "zero"), "a\0b", "has a zero byte"),
        (("set", "large"), "x" * 65_537, "takes 65,537 bytes, and Secrets Manager takes 65,536"),
        (("set", "my-secret", "--key", "a"), "x", "the secret my-secret has no keys: its value is not a JSON object"),
        (("set", "a b"), "x", "'a b' is not the name of a secret"),
        (("set", "ssm:/a"), "x", "set a parameter with: aws ssm put-parameter"),
        (("set", "prod/db:a"), "x", "cortex secret set prod/db --key a"),
        (("delete", "no-such"), "", "there is no secret no-such"),
    ],
)
def test_what_cannot_be_set_is_refused(
    cortex: Cortex, vault: str, arguments: tuple[str, ...], stdin: str, message: str, tmp_path: Path
) -> None:
    assert message in refused(cortex, "secret", *arguments, cwd=tmp_path, stdin=stdin)


def test_a_value_is_no_argument_and_is_not_repeated(cortex: Cortex) -> None:
    done = cortex.run("secret", "set", "my-secret", "hunter2-of-somebody")
    assert done.returncode == 2
    assert "a value is never an argument" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_secret_in_use_is_deleted_only_on_demand(cortex: Cortex, vault: str, tmp_path: Path) -> None:
    said = refused(cortex, "secret", "delete", "my-secret", cwd=tmp_path)
    assert "vault uses the secret my-secret: not deleted" in said
    cortex.ok("secret", "set", "spare", stdin="any")
    assert cortex.json("secret", "delete", "spare")["recoverable_until"] > cortex.json("secret", "list")[0]["changed"]
    printed = cortex.ok("secret", "delete", "my-secret", "--yes")
    assert "it can be brought back: aws secretsmanager restore-secret --secret-id my-secret" in printed
    said = refused(cortex, "deploy", cwd=write(tmp_path, SECRETS))
    assert "the secret my-secret is being deleted" in said
    # Whoever starts a replica now sees why there is none, with the secret's name.
    cortex.ok("refresh", "vault")
    until(lambda: "my-secret" in json.dumps(cortex.json("get", "vault")["stopped_replicas"]))
    (reason, *_) = (stopped["reason"] for stopped in cortex.json("get", "vault")["stopped_replicas"])
    assert reason.startswith("the secret my-secret could not be read (failed to fetch secret arn:aws:secretsmanager:")
    assert answer(cortex)["TOKEN"] == digest(ROTATED), "what runs goes on"
    assert cortex.ok("secret", "set", "my-secret", stdin=TOKEN).startswith("set the secret my-secret\n")
    # ECS has given that rollout up.
    cortex.ok("refresh", "vault", "--force")
    until(lambda: answer(cortex)["TOKEN"] == digest(TOKEN))
