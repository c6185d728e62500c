"""What a notebook shows of the values that the client returns: one line that a person reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from cortex_cdk.deploy.apply import Applied
from cortex_cdk.errors import DeployError
from cortex_cdk.history.record import DEPLOYED, FAILED, Record, Release
from cortex_cdk.history.releases import History
from cortex_cdk.logs import LogRecord
from cortex_cdk.predict.description import Description
from cortex_cdk.status.metrics import Traffic
from cortex_cdk.status.read_status import ApiStatus, Replicas, Variant
from cortex_cdk.status.report import Report
from cortex_cdk.status.series import Measurements, Series

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
URL = "http://127.0.0.1:8888/iris"
API = ApiStatus("iris", "RealtimeAPI", "live", URL, "e9e5a5db4579", Replicas(2, 1, 0, 0), NOW, NOW)
SPLITTER = ApiStatus(
    "ab",
    "TrafficSplitter",
    "live",
    URL,
    "",
    Replicas(0, 0, 0, 0),
    NOW,
    NOW,
    variants=(Variant("a", 50), Variant("b", 50)),
)
RELEASE = Release("e9e5a5db4579", "archive", "configuration", "specification", "image")
FIRST = Record("iris", 1, RELEASE, NOW, outcome=DEPLOYED, message="first")
SECOND = Record("iris", 2, RELEASE, NOW, outcome=FAILED, reason="the replica failed: KeyError: 'a'")
DONE = Applied("iris", "RealtimeAPI", URL, "e9e5a5db4579", "updated iris (RealtimeAPI)", changed=True, number=3)
SERIES = (Series("iris", "requests", (1.0,)),)
METRICS = Measurements("iris", "RealtimeAPI", ("iris",), (NOW,), timedelta(minutes=5), None, SERIES)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (API, f"<API iris live 1/2 e9e5a5db4579 {URL}>"),
        (replace(API, status="error", reason="no room"), f"<API iris error 1/2 e9e5a5db4579 {URL}: no room>"),
        (SPLITTER, f"<traffic splitter ab live a, b {URL}>"),
        (Report(API), f"<API iris live 1/2 e9e5a5db4579 {URL}>"),
        (
            Report(API, Traffic(answers_2xx=5, answers_5xx=1)),
            f"<API iris live 1/2 e9e5a5db4579 {URL}; answers 2xx 5, 4xx 0, 5xx 1>",
        ),
        (DONE, f"<updated iris (RealtimeAPI) as v3 at {URL}>"),
        (replace(DONE, error=DeployError("iris: no")), "<iris: no>"),
        (LogRecord(NOW, "0f3a5c1e99", "r", "INFO", "ready", (), {}), "<2026-01-01 12:00:00 0f3a5c1e INFO ready>"),
        (
            METRICS,
            "<metrics of iris since 2026-01-01 12:00 UTC, every 5 min: requests; as a table: to_frame()>",
        ),
        (
            Description("iris", {}),
            "<what iris takes>\n"
            "what iris takes is up to its predictor, which gets JSON, forms, texts and files alike\n"
            "(it has no type hint for the structure of its payload, and its project no sample.json)",
        ),
    ],
)  # fmt: skip
def test_a_value_in_a_line(value: object, text: str) -> None:
    assert repr(value) == text


def test_a_history_has_a_line_for_each_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    head, second, first = repr(History.of("iris", [SECOND, FIRST], None)).splitlines()
    assert head == "<iris: 2 deployments>"
    assert second.startswith("<iris v2  e9e5a5db4579  ")
    assert second.endswith("  failed (the replica failed: KeyError: 'a')>")
    assert first.endswith("  deployed: first>")
