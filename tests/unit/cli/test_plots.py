"""The plots of ``cortex metrics``, as golden files for terminals of 60, 80 and 160 characters."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from cortex_cli.plots import ASCII, BLOCKS, amount, draw, points_within
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.errors import CortexError
from cortex_cdk.status.series import MEASURES, Measurements, Series, shortest_period
from cortex_cdk.status.series_files import save
from tests.golden_file import compare
from tests.json_output import read_json

GOLDEN = Path(__file__).parent / "golden"
END = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def wave(number: int, count: int, name: str, api: int) -> float | None:
    """A day of an API that was down for a while, and had errors after that."""
    part = number / count
    height = abs(math.sin(part * 9 + api))
    if name == "requests":
        return round(1200 * height)
    if name in ("4xx", "5xx"):
        return 5.0 if 0.6 < part < (0.7 if name == "5xx" else 0.65) else 0.0
    if 0.45 < part < 0.6:
        return None
    values = {
        "p50_latency_ms": 12 + 20 * height,
        "p90_latency_ms": 40 + 30 * height,
        "p99_latency_ms": 80 + 1200 * height,
        "in_flight": 2 * height,
        "batch_size": 8 * height if api == 0 else None,
        "p50_queue_ms": height,
        "p99_queue_ms": 3 * height,
        "replicas": 1.0 + (part > 0.6),
    }
    return values.get(name)


def measured(width: int, *apis: str, span: timedelta = timedelta(hours=3)) -> Measurements:
    period = shortest_period(span, points_within(width))
    count = int(span / period)
    return Measurements(
        name=apis[0] if len(apis) == 1 else "shared",
        kind="RealtimeAPI" if len(apis) == 1 else "TrafficSplitter",
        apis=apis,
        times=tuple(END - period * (count - number) for number in range(count)),
        period=period,
        counted_until=END - timedelta(minutes=2),
        series=tuple(
            Series(api, one.name, tuple(wave(at, count, one.name, place) for at in range(count)))
            for place, api in enumerate(apis)
            for one in MEASURES
        ),
    )


VIEWS = {
    "60": lambda: draw(measured(60, "iris"), 60, timezone.utc),
    "80": lambda: draw(measured(80, "iris"), 80, timezone.utc),
    "160": lambda: draw(measured(160, "iris", span=timedelta(days=2)), 160, timezone.utc),
    "ascii": lambda: draw(measured(80, "iris"), 80, timezone.utc, ASCII),
    "80-lines-24": lambda: draw(measured(80, "iris"), 80, timezone.utc, height=23),
    "160-lines-24": lambda: draw(measured(160, "iris"), 160, timezone.utc, height=23),
    "splitter-80-lines-24": lambda: draw(measured(80, "iris", "wine"), 80, timezone.utc, height=23),
    "splitter-60": lambda: draw(measured(60, "iris", "wine"), 60, timezone.utc),
    "splitter-80": lambda: draw(measured(80, "iris", "wine"), 80, timezone.utc),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view(name: str) -> None:
    compare(click.unstyle(VIEWS[name]()) + "\n", GOLDEN / f"metrics-{name}.txt")


values = st.lists(st.none() | st.floats(0, 1e12), min_size=1, max_size=300)


@given(values, st.integers(20, 110), st.sampled_from([BLOCKS, ASCII]))
def test_every_line_fits_and_gaps_stay_gaps(found: list[float | None], width: int, glyphs: object) -> None:
    period = timedelta(minutes=1)
    times = tuple(END - period * number for number in reversed(range(len(found))))
    series = [
        Series("iris", one.name, tuple(found) if one.name == "in_flight" else (None,) * len(found)) for one in MEASURES
    ]
    drawn = Measurements("iris", "RealtimeAPI", ("iris",), times, period, None, tuple(series))
    head, *lines = click.unstyle(draw(drawn, width, timezone.utc, glyphs)).splitlines()  # type: ignore[arg-type]
    assert head.startswith("iris, ")
    assert all(len(line) <= width for line in lines)
    known = [value is not None for value in found]
    is_plotted = any(value for value in found)
    below = [line for line in lines if line.lstrip().startswith(("0 └", "0 +"))]
    assert len(below) == is_plotted
    if is_plotted and all(known):
        assert " " not in below[0][9:]


@pytest.mark.parametrize("height", [18, 23, 30, 39, 60])
@pytest.mark.parametrize("width", [60, 80, 160])
def test_plots_fit_a_terminal(width: int, height: int) -> None:
    lines = draw(measured(width, "iris"), width, timezone.utc, height=height).splitlines()
    assert len(lines) <= height


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (1204, "", "1.2k"),
        (999, "", "999"),
        (1e6, "", "1M"),
        (45.04, "ms", "45 ms"),
        (2500, "ms", "2.5 s"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


@pytest.mark.parametrize("apis", [("iris",), ("iris", "wine")])
def test_json_has_the_documented_shape(apis: tuple[str, ...]) -> None:
    read_json("metrics", json.dumps(measured(80, *apis).as_json()))


def test_a_picture(tmp_path: Path) -> None:
    save(measured(80, "iris", "wine"), tmp_path / "plots.PNG")
    assert (tmp_path / "plots.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "missing", "said"),
    [("plots", False, "its name does not say as what"), ("plots.png", True, "needs matplotlib")],
)
def test_what_cannot_be_saved(
    name: str, missing: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(CortexError, match=said):
        save(measured(80, "iris"), tmp_path / name)
    with pytest.raises(CortexError, match="cannot be written"):
        save(measured(80, "iris"), tmp_path / "no-such-folder" / "plots.csv")
