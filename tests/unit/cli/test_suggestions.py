"""Commands that are suggested to a user, for the environment that the command line named."""

import pytest
from cortex_cli import options


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("list what is deployed with: cortex get", "list what is deployed with: cortex get --env prod"),
        ("see why with: cortex logs iris", "see why with: cortex logs iris --env prod"),
        ("wait (cortex get iris), or not", "wait (cortex get iris --env prod), or not"),
        ("cortex logs a, cortex logs b", "cortex logs a --env prod, cortex logs b --env prod"),
        ("cortex predict iris ../sample.json", "cortex predict iris ../sample.json --env prod"),
        ("run cortex deploy and see", "run cortex deploy --env prod and see"),
        ("make it with: cortex cluster up --env prod", "make it with: cortex cluster up --env prod"),
        ("update it with: cortex cluster configure", "update it with: cortex cluster configure --env prod"),
        ("start it with: cortex local up", "start it with: cortex local up"),
        ("this is a bug of cortex: run it again", "this is a bug of cortex: run it again"),
    ],
)
def test_suggested_commands_name_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, suggested: str) -> None:
    monkeypatch.setattr(options, "_chosen", ["prod"])
    assert options.for_environment(text) == suggested
    monkeypatch.setattr(options, "_chosen", [])
    assert options.for_environment(text) == text
