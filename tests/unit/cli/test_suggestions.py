"""Commands that are suggested to a user, for the environment that the command line named."""

import pytest
from cortex_cli.invocation import Invocation
from cortex_cli.suggestions import for_environment


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("list what is deployed with: cortex get", "list what is deployed with: cortex get --env prod"),
        ("see why with: cortex logs iris", "see why with: cortex logs --env prod iris"),
        ("wait (cortex get iris), or not", "wait (cortex get --env prod iris), or not"),
        ("cortex logs a, cortex logs b", "cortex logs --env prod a, cortex logs --env prod b"),
        ("cortex predict iris ../sample.json", "cortex predict --env prod iris ../sample.json"),
        ("run cortex deploy and see", "run cortex deploy --env prod and see"),
        ("make it with: cortex cluster up --env prod", "make it with: cortex cluster up --env prod"),
        ("watch it with: cortex get --watch iris", "watch it with: cortex get --env prod --watch iris"),
        ("update it with: cortex cluster configure", "update it with: cortex cluster configure --env prod"),
        ("start it with: cortex local up", "start it with: cortex local up"),
        ("choose one with: cortex env default NAME", "choose one with: cortex env default NAME"),
        ("a cluster of cortex cluster has none", "a cluster of cortex cluster has none"),
        ("this is a bug of cortex: run it again", "this is a bug of cortex: run it again"),
    ],
)
def test_suggested_commands_name_the_environment(text: str, suggested: str) -> None:
    assert for_environment(text, Invocation(environment="prod")) == suggested
    assert for_environment(text, Invocation()) == text
