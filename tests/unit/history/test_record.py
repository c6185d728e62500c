from __future__ import annotations

import json
import string
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.history.record import ACTIONS, OUTCOMES, Commit, ConfigFile, Record, Release, readable
from cortex_cdk.history.store import KEPT, kept

TEXTS = st.text(max_size=20)
HEX = st.text("0123456789abcdef", min_size=12, max_size=12)
MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.just(timezone.utc))
RECORDS = st.builds(
    Record,
    api=st.text(string.ascii_lowercase, min_size=1),
    number=st.integers(1, 10**6),
    release=st.builds(
        Release,
        revision=HEX,
        archive=HEX,
        configuration=HEX,
        specification=HEX,
        image=TEXTS,
        file=st.none() | st.builds(ConfigFile, TEXTS, TEXTS),
    ),
    started=MOMENTS,
    ended=st.none() | MOMENTS,
    action=st.sampled_from(ACTIONS),
    restores=st.none() | st.integers(1, 100),
    who=st.none() | TEXTS,
    message=st.none() | TEXTS,
    commit=st.none() | st.builds(Commit, HEX, st.booleans()),
    version=TEXTS,
    changes=st.lists(TEXTS).map(tuple),
    outcome=st.sampled_from(OUTCOMES),
    reason=st.none() | TEXTS,
)


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


@given(RECORDS)
def test_a_record_of_a_newer_version_is_read_without_what_is_new(record: Record) -> None:
    fields = json.loads(record.to_json())
    fields["release"]["new"] = fields["new"] = 1
    assert Record.from_json(json.dumps(fields)) == record


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"api": "a", "number": 1, "release": {}}', "\u0000"])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Record.from_json(text)


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/jane", "jane"),
        ("arn:aws:iam::123456789012:user/team/vision/jane", "jane"),
        ("arn:aws:sts::123456789012:assumed-role/deployer/jane@example.com", "jane@example.com (deployer)"),
        ("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/jane", "jane (Admin)"),
        ("arn:aws-cn:sts::123456789012:federated-user/jane", "jane"),
        ("arn:aws:iam::123456789012:root", "root"),
    ],
)
def test_whoever_deployed_has_a_readable_name(arn: str, name: str) -> None:
    assert readable(arn) == name


@given(st.lists(st.sampled_from(OUTCOMES), max_size=4 * KEPT))
def test_the_newest_records_are_kept_and_two_that_served(outcomes: list[str]) -> None:
    moment, release = datetime(2026, 1, 1, tzinfo=timezone.utc), Release("r", "a", "c", "s", "i")
    records = [
        Record("iris", number, release, moment, outcome=outcome)
        for number, outcome in zip(range(len(outcomes), 0, -1), outcomes, strict=True)
    ]
    found = kept(records)
    assert found[:KEPT] == records[:KEPT]
    assert len(found) <= KEPT + 2
    served = [record for record in records if record.outcome == "deployed"][:2]
    assert all(record in found for record in served)
    assert len({record.number for record in found}) == len(found)
