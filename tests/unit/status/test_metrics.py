"""From when on the requests of a splitter are counted. CloudWatch's answers are given by botocore's own stubber."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from botocore.stub import ANY, Stubber

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.status.metrics import read_forwarded

MINUTE = datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(minutes=10)


@pytest.mark.parametrize(("second", "minutes"), [(1, 1), (44, 1), (53, 2)])
def test_what_replicas_counted_before_the_change_is_left_out(second: int, minutes: int) -> None:
    """They report every ten seconds, so the first report after a change has requests of before it."""
    cloud = Cloud.without_account("us-east-1", "http://127.0.0.1:9")
    asked = {"MetricDataQueries": ANY, "StartTime": MINUTE + timedelta(minutes=minutes), "EndTime": ANY}
    moments = [MINUTE + timedelta(minutes=2), MINUTE + timedelta(minutes=3)]
    answer = {"MetricDataResults": [{"Id": "q0", "Timestamps": moments, "Values": [3.0, 4.0]}]}
    with Stubber(cloud.cloudwatch) as cloudwatch:
        cloudwatch.add_response("get_metric_data", answer, asked)
        assert read_forwarded(cloud, "local", ["a"], MINUTE + timedelta(seconds=second)) == {"a": 7}
