"""The command line by itself: help, usage errors, environments. Nothing here starts the local cloud."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cortex_cli import options
from cortex_cli.commands.local import break_something

from cortex_cdk.localcloud.faults import KINDS
from tests.conftest import CORTEX, ROOT, Cortex
from tests.unit.cli.command_tree import commands

SUBCOMMANDS = sorted(path.stem for path in (ROOT / "cli/cortex_cli/commands").glob("[a-z]*.py"))


@pytest.fixture
def cortex(tmp_path: Path) -> Cortex:
    return Cortex(tmp_path / "home")


def test_help_names_every_command_in_a_section(cortex: Cortex) -> None:
    _usage, _about, _example, _options, *parts = cortex.ok("--help").split("\n\n")
    sections = {part.splitlines()[0]: [line.split()[0] for line in part.splitlines()[1:]] for part in parts}
    assert list(sections) == ["Projects:", "APIs:", "Clusters:", "Other commands:"]
    assert sections["APIs:"][:2] == ["delete", "deploy"]
    assert sorted(name for names in sections.values() for name in names) == SUBCOMMANDS


def test_a_unique_beginning_of_a_command_is_enough(cortex: Cortex) -> None:
    assert cortex.ok("vers") == cortex.ok("version") == cortex.ok("--version")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["get", "--nonsense"],
        ["logs"],
        ["predict", "iris"],
        ["completion", "tcsh"],
        ["logs", "x", "--since", "1y"],
        ["deploy", ""],
        ["cluster", "up", ""],
        ["get", "-v"],
        ["key", "create", "x", "--api", "iris,"],
        ["secret", "set", "a b"],
        ["metrics", "x", "--since", "25:00"],
        ["metrics", "x", "--since", "10m", "--until", "1h"],
        ["metrics", "x", "--watch", "--until", "10:00"],
        ["metrics", "x", "--save", "x.xls"],
        ["env", "configure", "a b"],
        # The beginning of a command that takes away or replaces what serves.
        ["del", "iris"],
        ["rollb", "iris"],
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(cortex: Cortex, arguments: list[str]) -> None:
    done = cortex.run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert "Traceback" not in done.stderr


TEXTS = [
    (path, parameter)
    for path, command in commands().items()
    for parameter in command.params
    if isinstance(parameter.type, click.types.StringParamType | options.PathOf | type(options.TEXT))
    and (path, parameter.name) not in {("cortex predict", "data"), ("cortex secret set", "rest")}
    and parameter.name != "message"
]


@pytest.mark.parametrize(("path", "parameter"), TEXTS, ids=lambda value: str(getattr(value, "name", value)))
def test_an_empty_text_is_never_taken_for_everything_or_the_default(path: str, parameter: click.Parameter) -> None:
    """``cortex delete "$API"``, where the variable is not set."""
    with pytest.raises(click.BadParameter, match="is a variable of your script not set"):
        parameter.type.convert("", parameter, click.Context(commands()[path]))


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["get", "--verbos"], "--verbose"),
        (["get", "--bogus"], None),
        (["lgos"], "logs"),
        (["del", "iris"], "delete"),
        (["cluster", "inof"], "info"),
        (["local", "chaos", "bogus"], None),
    ],
)
def test_what_is_meant_is_suggested_only_where_it_is_close(
    cortex: Cortex, arguments: list[str], meant: str | None
) -> None:
    hint = cortex.run(*arguments).stderr.splitlines()[-1]
    assert hint == f"hint: did you mean {meant}?" if meant else hint.startswith("hint: call it as: ")
    assert "- " not in hint, "a word is broken at its hyphen"


def test_the_help_of_chaos_lists_the_kinds_that_there_are() -> None:
    text = break_something.help or ""
    listed = text.partition("KIND is one of\n")[2].partition("\n\n")[0]
    assert [kind.strip() for kind in listed.split(",")] == [*KINDS]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(cortex: Cortex, shell: str) -> None:
    assert "cortex" in cortex.ok("completion", shell)


def completed(cortex: Cortex, *words: str, **environ: str) -> list[str]:
    """What bash is offered after these words, the last of which is being typed."""
    asked = {"_CORTEX_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = cortex.run(environ={**asked, **environ})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_environments_are_completed(cortex: Cortex) -> None:
    for name in ("prod", "preview"):
        cortex.ok("env", "configure", name)
    assert completed(cortex, "cortex", "env", "default", "pr") == ["plain,prod", "plain,preview"]
    assert completed(cortex, "cortex", "get", "--env", "l") == ["plain,local"]


def test_completion_neither_starts_a_cloud_nor_says_why_it_has_nothing_to_offer(cortex: Cortex) -> None:
    assert completed(cortex, "cortex", "get", "ir") == []
    assert not (cortex.home / "local").exists()
    cortex.ok("env", "configure", "gone", "--endpoint-url", "http://127.0.0.1:9")
    keys = {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    assert completed(cortex, "cortex", "logs", "--env", "gone", "ir", **keys) == []
    assert completed(cortex, "cortex", "logs", "--env", "nowhere", "ir") == []
    (cortex.home / "environments.yaml").write_text("default: [")
    assert completed(cortex, "cortex", "delete", "ir") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["../prod"],
        [""],
        ["--", "-prod"],
        ["prod", "--cluster", "Prod"],
        ["prod", "--cluster", "a-name-that-is-much-too-long-for-a-load-balancer"],
        ["prod", "--region", "eu"],
        ["prod", "--endpoint-url", "localhost"],
    ],
)
def test_an_environment_that_cannot_be_is_refused_before_it_is_written(cortex: Cortex, arguments: list[str]) -> None:
    done = cortex.run("env", "configure", *arguments)
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert not (cortex.home / "environments.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deploy", "nowhere"], "nowhere"),
        (["get", "--env", "nowhere"], "environment 'nowhere' does not exist"),
        (["env", "default", "nowhere"], "environment 'nowhere' does not exist"),
        (["env", "delete", "local"], "cannot be deleted"),
        (["env", "configure", "local"], "needs no configuration"),
    ],
)
def test_a_failure_exits_with_1_and_one_message(cortex: Cortex, arguments: list[str], message: str) -> None:
    done = cortex.run(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr.splitlines()[0]
    assert not (cortex.home / "local").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deploy", "nowhere"], "nowhere: does not exist"),
        (["get", "iris", "--env", "nowhere"], "environment 'nowhere' does not exist"),
        (["logs", "iris", "--env", "nowhere"], "environment 'nowhere' does not exist"),
    ],
)
def test_a_failure_is_told_to_scripts_on_stdout_too(cortex: Cortex, arguments: list[str], message: str) -> None:
    done = cortex.run(*arguments, "-o", "json")
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    (error,) = json.loads(line).values()
    assert set(error) == {"message", "hint", "details"}
    assert error["message"].startswith(message)
    assert done.stderr.startswith(f"error: {error['message']}\n")


def test_simple_commands_answer_scripts(cortex: Cortex) -> None:
    assert cortex.json("version") == {"version": cortex.ok("version").strip()}
    assert cortex.json("local", "status") == {
        "running": False,
        "pid": None,
        "apis_url": None,
        "aws_url": None,
        "state": str(cortex.home / "local"),
    }
    assert cortex.json("local", "down") == {"stopped": False}


def test_environments_are_configured_listed_chosen_and_deleted(cortex: Cortex) -> None:
    cortex.ok("env", "configure", "prod", "--cluster", "main", "--region", "eu-west-1", "--profile", "ops")
    assert cortex.ok("env", "default", "prod") == "prod is the default environment now\n"
    listed = json.loads(cortex.ok("env", "list", "-o", "json"))
    assert [(entry["name"], entry["default"]) for entry in listed] == [("local", False), ("prod", True)]
    assert cortex.ok("env", "default") == "prod\n"
    cortex.json("env", "configure", "prod", "--cluster", "other")
    assert json.loads(cortex.ok("env", "list", "-o", "json"))[1]["region"] == "eu-west-1"
    assert cortex.json("env", "delete", "prod") == {"name": "prod", "message": "deleted prod"}
    assert cortex.ok("env", "default") == "local\n"
    assert cortex.json("env", "default") == {"default": "local"}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"AWS_PROFILE": ""}, "environment 'prod' has no AWS credentials"),
        ({"AWS_PROFILE": "gone"}, "profile"),
    ],
)
def test_missing_credentials_are_told_in_one_line(
    cortex: Cortex, environ: dict[str, str], message: str, tmp_path: Path
) -> None:
    cortex.environ |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    cortex.ok("env", "configure", "prod")
    done = cortex.run("get", "--env", "prod", environ=environ)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_what_few_commands_need_is_not_loaded_for_all() -> None:
    program = """
import sys, cortex_cli.main, cortex_cdk.client
print([name for name in sys.modules if name.split(".")[0] in ("aws_cdk", "jsii", "moto", "boto3", "falcon")])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=Path("/"), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("asked", [["--help"], ["--version"]])
def test_what_needs_no_command_imports_none(asked: list[str]) -> None:
    program = f"""
import sys
from cortex_cli.main import cli
cli.main({asked}, standalone_mode=False)
print([name for name in sys.modules if name.startswith(("cortex_cli.commands.", "cortex_cdk."))])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=Path("/"), capture_output=True, text=True, check=True)
    only = ["cortex_cdk.errors", *(["cortex_cli.commands.version"] if asked == ["--version"] else [])]
    assert done.stdout.splitlines()[-1] == str(only)


def test_closed_streams_are_no_error(cortex: Cortex) -> None:
    closing = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", str(CORTEX), "env", "list"]
    assert subprocess.run(closing, env=cortex.environ, check=False).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_no_bug(cortex: Cortex) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [CORTEX, "env", "list"], env=cortex.environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    hint = "hint: make room, then run the command again"
    assert (done.returncode, done.stderr) == (
        1,
        f"error: the disk is full: [Errno 28] No space left on device\n{hint}\n",
    )
