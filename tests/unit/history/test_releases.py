"""Which deployment serves, which one a roll-back means, and how one ended that nobody saw end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from cortex_serving.contract import TRAFFIC_SPLITTER

from cortex_cdk import names
from cortex_cdk.errors import CortexError
from cortex_cdk.history.endings import Endings
from cortex_cdk.history.record import DEPLOYED, FAILED, IN_PROGRESS, INTERRUPTED, ROLL_BACK, Record, Release
from cortex_cdk.history.releases import History
from cortex_cdk.stack_operations.stack import StackState

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def record(number: int, content: str, outcome: str = DEPLOYED, *, restores: int | None = None) -> Record:
    """A record of a deployment; ``content`` stands for all that is deployed, and is its revision."""
    release = Release(content, f"archive-{content}", f"configuration-{content}", f"digest-{content}", "image")
    action = "deploy" if restores is None else ROLL_BACK
    started = BEGAN + timedelta(minutes=number)
    return Record("iris", number, release, started, action=action, restores=restores, outcome=outcome)


def stack(content: str, status: str = "UPDATE_COMPLETE", digest: str | None = None) -> StackState:
    parameters = {names.Parameter.REVISION: content}
    outputs = {names.Output.SPEC_DIGEST: digest or f"digest-{content}"}
    return StackState("s", "id", status, "why", parameters, outputs, {}, BEGAN, BEGAN)


def history(*records: Record, stack: StackState | None) -> History:
    return History.of("iris", list(reversed(records)), stack)


A, B, C, D = "aaaa0000", "bbbb0000", "bbbb1111", "dddd0000"


def test_a_rollback_goes_back_step_by_step_and_not_to_what_was_rolled_back() -> None:
    known = [record(1, A), record(2, B), record(3, C)]
    assert history(*known, stack=stack(C)).to_roll_back_to().number == 2

    known.append(record(4, B, restores=2))
    found = history(*known, stack=stack(B))
    assert found.serving == known[3]
    assert found.rolled_back_by(known[2]) == known[3]
    assert found.rolled_back_by(known[1]) is None
    assert found.to_roll_back_to().number == 1

    known.append(record(5, A, restores=1))
    again = history(*known, stack=stack(A))
    with pytest.raises(CortexError) as refused:
        again.to_roll_back_to()
    assert refused.value.message == "iris: v5 serves, which is v1 again, and nothing else was deployed before v1"
    assert refused.value.hint == "name the one that is to serve, such as the newest other one: cortex rollback iris v4"
    assert [line.partition("  ")[2].partition("  ")[2].partition("  ")[2] for line in refused.value.details] == [
        "deployed, serves, v1 again",
        "rolled back by v5, v2 again",
        "rolled back by v4",
        "deployed",
        "deployed",
    ]

    known.append(record(6, D))
    assert history(*known, stack=stack(D)).to_roll_back_to().number == 5


def test_a_failed_deployment_is_not_gone_back_to_and_does_not_count() -> None:
    known = [record(1, A), record(2, B), record(3, C, FAILED)]
    found = history(*known, stack=stack(B, "UPDATE_ROLLBACK_COMPLETE"))
    assert found.serving == known[1]
    assert found.to_roll_back_to().number == 1


def test_what_served_and_was_undone_afterwards_did_not_end_well() -> None:
    # An alarm went off when its command had left.
    known = [record(1, A), record(2, B)]
    assert history(*known, stack=stack(B, "UPDATE_ROLLBACK_IN_PROGRESS")).records[0].outcome == DEPLOYED
    found = history(*known, stack=stack(A, "UPDATE_ROLLBACK_COMPLETE"))
    assert (found.records[0].outcome, found.records[0].reason) == (FAILED, "why")
    assert found.serving == known[0]
    # A later update of it failed.
    assert history(*known, stack=stack(B, "UPDATE_ROLLBACK_COMPLETE")).records[0].outcome == DEPLOYED


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_out_of_a_stuck_update_is_back_to_what_served_before(status: str) -> None:
    outcome = FAILED if status == "UPDATE_ROLLBACK_FAILED" else IN_PROGRESS
    known = [record(1, A), record(2, B), record(3, C, outcome)]
    assert history(*known, stack=stack(C, status, digest="digest-" + B)).to_roll_back_to().number == 2


@pytest.mark.parametrize("contents", ["A", "AA"])
def test_where_nothing_else_was_deployed_there_is_nothing_to_name(contents: str) -> None:
    known = [record(number, A) for number, _ in enumerate(contents, 1)]
    with pytest.raises(CortexError, match=f"v{len(contents)} serves and nothing else was deployed before") as refused:
        history(*known, stack=stack(A)).to_roll_back_to()
    assert refused.value.hint == "correct its files and deploy again"


def test_the_same_deployed_again_is_no_step_back() -> None:
    known = [record(1, A), record(2, B), record(3, B)]
    assert history(*known, stack=stack(B)).to_roll_back_to().number == 1


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (stack(B), DEPLOYED),
        (stack(B, "UPDATE_IN_PROGRESS", digest="digest-" + A), IN_PROGRESS),
        (stack(A, "UPDATE_ROLLBACK_COMPLETE"), FAILED),
        (stack(B, "UPDATE_ROLLBACK_FAILED"), FAILED),
        (stack(A), INTERRUPTED),
        (None, INTERRUPTED),
    ],
)
def test_the_stack_says_how_a_deployment_ended_whose_deployer_did_not(state: StackState | None, outcome: str) -> None:
    assert history(record(1, A), record(2, B, IN_PROGRESS), stack=state).records[0].outcome == outcome


class Known(Endings):
    """Endings of which logs and CloudFormation tell this."""

    def __init__(self, said: str | None = None, cause: str | None = None) -> None:
        self._said, self._cause = said, cause

    def last_words(self, record: Record) -> str | None:
        return self._said

    def cause(self, record: Record, stack: StackState) -> str | None:
        return self._cause


UNDONE = replace(stack(A, "UPDATE_ROLLBACK_COMPLETE"), reason="")


@pytest.mark.parametrize(
    ("state", "endings", "outcome", "reason"),
    [
        (
            UNDONE,
            Known("the replica failed: KeyError: 'a'", "service: no"),
            FAILED,
            "the replica failed: KeyError: 'a'",
        ),
        (UNDONE, Known(cause="service: no"), FAILED, "service: no"),
        (UNDONE, Known(), FAILED, "CloudFormation undid it, and gave no reason"),
        (stack(A, "UPDATE_ROLLBACK_COMPLETE"), Known(), FAILED, "why"),
        # The stack of a first deployment that failed may be gone, or another deployment may have followed.
        (None, Known("the replica failed: exit 3"), FAILED, "the replica failed: exit 3"),
        (stack(A), Known("the replica failed: exit 3"), FAILED, "the replica failed: exit 3"),
        (stack(A), Known(cause="of another deployment"), INTERRUPTED, "whoever deployed it did not stay to the end"),
        (stack(B), Known("the replica failed: one of several"), DEPLOYED, ""),
    ],
)
def test_a_deployment_that_nobody_waited_for_says_why_it_failed(
    state: StackState | None, endings: Endings, outcome: str, reason: str
) -> None:
    [found] = History.of("iris", [record(2, B, IN_PROGRESS)], state, endings).records
    assert found.outcome == outcome
    assert (found.reason or "").startswith(reason)
    assert bool(found.reason) == bool(reason)


def test_a_lost_deployment_that_another_followed_was_interrupted() -> None:
    known = [record(1, A), record(2, B, IN_PROGRESS), record(3, C, IN_PROGRESS)]
    found = history(*known, stack=stack(C, "UPDATE_IN_PROGRESS"))
    assert [one.outcome for one in found.records] == [IN_PROGRESS, INTERRUPTED, DEPLOYED]
    assert found.serving == known[0]


def test_what_serves_is_known_though_another_version_gives_the_template_another_digest() -> None:
    assert history(record(1, A), record(2, B), stack=stack(B, digest="new")).serving == record(2, B)
    assert history(record(1, A), stack=stack(D)).serving is None
    assert history(record(1, A), stack=None).serving is None


def test_what_serves_of_a_splitter_is_known_without_a_revision() -> None:
    def weights(number: int, content: str, outcome: str = DEPLOYED) -> Record:
        known = record(number, content, outcome)
        return replace(known, release=replace(known.release, revision="", archive="", image=""), kind=TRAFFIC_SPLITTER)

    def deployed(digest: str, status: str = "UPDATE_COMPLETE") -> StackState:
        return replace(stack("", status, digest=digest), parameters={})

    known = [weights(1, A), weights(2, B), weights(3, A), weights(4, C, IN_PROGRESS)]
    found = history(*known, stack=deployed(f"digest-{A}"))
    assert found.serving == known[2]
    assert found.to_roll_back_to() == known[1]
    assert history(*known, stack=deployed(f"digest-{C}")).serving == known[3].ending(DEPLOYED, at=BEGAN)
    assert history(*known[:3], stack=deployed("of another version")).serving == known[2]
    with pytest.raises(CortexError, match="no deployment aaaa"):
        found.find(A)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [("2", 2), ("v2", 2), ("V2", 2), (" v2 ", 2), ("aaaa", 4), ("bbbb0", 2), ("bbbb1", 3), ("AAAA0000", 4)],
)
def test_a_deployment_is_found_by_its_number_or_the_beginning_of_its_revision(wanted: str, number: int) -> None:
    known = [record(1, A), record(2, B), record(3, C), record(4, A), record(5, A, FAILED)]
    assert history(*known, stack=stack(A)).find(wanted).number == number


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("bbbb", "several revisions begin with bbbb"),
        ("9", "no deployment 9"),
        ("v", "no deployment v"),
        ("", "no deployment"),
        ("aaa", "no deployment aaa"),
        ("ffff", "no deployment ffff"),
    ],
)
def test_what_is_not_found_is_answered_with_what_there_is(wanted: str, said: str) -> None:
    with pytest.raises(CortexError, match=said) as refused:
        history(record(1, A), record(2, B), record(3, C), stack=stack(C)).find(wanted)
    assert [line.split()[0] for line in refused.value.details] == ["v3", "v2", "v1"]
    assert refused.value.hint


def test_without_a_deployment_that_ended_well_there_is_nothing_to_go_back_to() -> None:
    known = [replace(record(1, A, FAILED), reason="no weights")]
    with pytest.raises(CortexError, match="no deployment has ended well"):
        history(*known, stack=None).to_roll_back_to()
    with pytest.raises(CortexError, match="no deployment has ended well"):
        history(*known, stack=None).require_serving()
