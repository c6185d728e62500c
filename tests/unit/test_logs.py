"""Records, as CloudWatch returns them."""

import json

from cortex_cdk.logs import is_metrics, parse


def event(message):
    return {"logStreamName": "abc123/0f1e", "timestamp": 1_700_000_000_000, "message": message, "eventId": "1"}


def test_a_record_of_the_serving_program():
    record = parse(event(json.dumps({"level": "ERROR", "message": "boom", "traceback": "a\nb\n", "event": "fatal"})))
    assert (record.replica, record.level, record.message) == ("0f1e", "ERROR", "boom")
    assert record.traceback == ("a", "b")
    assert record.fields["event"] == "fatal"


def test_any_other_line_is_shown_as_it_is():
    for line in ("plain text", "[1, 2]", '"quoted"', "{broken"):
        record = parse(event(line))
        assert (record.level, record.message, record.traceback) == ("INFO", line, ())


def test_metrics_are_told_apart_from_words():
    assert is_metrics(parse(event('{"_aws": {}, "InFlight": 0}')))
    assert not is_metrics(parse(event('{"message": "_aws"}')))
