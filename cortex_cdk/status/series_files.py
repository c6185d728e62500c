"""Writes measurements into a file: values as CSV or JSON, plots as PNG."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from cortex_cdk.errors import CortexError, WrongCallError
from cortex_cdk.status.panels import panels_of
from cortex_cdk.status.series import MEASURES, Measurements

INCHES = (7.0, 2.2)
"""Width and height of one plot of a picture."""


def save(measurements: Measurements, file: Path) -> None:
    """Write measurements, in the form that the end of the file's name says.

    Args:
        measurements: What was measured.
        file: To be made, or replaced.

    Raises:
        CortexError: The name ends otherwise, the file cannot be written, or the library for pictures is missing.
    """
    content = writer_of(file)(measurements)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CortexError(f"{file} cannot be written: {error.strerror or error}") from error


def writer_of(file: Path) -> Callable[[Measurements], bytes]:
    """Return what writes such a file, so that a wrong name is told before anything is asked for.

    Raises:
        CortexError: The name ends otherwise, or the library for pictures is missing.
    """
    writer = WRITERS.get(file.suffix.lower())
    if writer is None:
        raise WrongCallError(
            f"{file} cannot be saved: its name does not say as what", hint=f"end it with {', '.join(WRITERS)}"
        )
    if writer is as_png:
        _require_matplotlib()
    return writer


def as_csv(measurements: Measurements) -> bytes:
    """Return a row for each period and API; what was not measured is empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, ["time", "api", *(measure.name for measure in MEASURES)], lineterminator="\n")
    table.writeheader()
    table.writerows(measurements.rows())
    return text.getvalue().encode()


def as_json(measurements: Measurements) -> bytes:
    """Return what ``cortex metrics -o json`` prints."""
    return (json.dumps(measurements.as_json(), indent=2, ensure_ascii=False) + "\n").encode()


def as_png(measurements: Measurements) -> bytes:
    """Return the plots as a picture: a row for each panel, a column for each API.

    Raises:
        CortexError: matplotlib is not installed.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure

    panels, apis, times = panels_of(measurements), measurements.apis, measurements.times
    figure = Figure(figsize=(INCHES[0] * len(apis), INCHES[1] * len(panels)), layout="constrained")
    plots = figure.subplots(len(panels), len(apis), sharex=True, sharey="row", squeeze=False)
    for panel, row in zip(panels, plots, strict=True):
        for api, plot in zip(apis, row, strict=True):
            for label, series in panel.series(measurements, api):
                values = [float("nan") if value is None else value for value in series.values]
                # The last value, too, stands for a whole period.
                plot.step(
                    [*times, times[-1] + measurements.period], [*values, values[-1]], where="post", label=label or None
                )
            unit = f" ({panel.unit})" if panel.unit else ""
            plot.set_title(f"{api}: {panel.titled(measurements.period)}{unit}", loc="left", fontsize="medium")
            # matplotlib leaves room in proportion to how values differ: a flat line would lie on the frame.
            plot.set_ylim(0, 1.05 * plot.get_ylim()[1] if plot.dataLim.y1 > 0 else 1)
            plot.grid(alpha=0.3)
            if len(panel.measures) > 1:
                plot.legend(loc="best", fontsize="small")
    for plot in plots[-1]:
        plot.set_xlabel("UTC")
        plot.tick_params(axis="x", rotation=30)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()


WRITERS: Mapping[str, Callable[[Measurements], bytes]] = {".png": as_png, ".csv": as_csv, ".json": as_json}


def _require_matplotlib() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise CortexError(
            "a picture needs matplotlib, which is not installed",
            hint="pip install 'cortex-cdk[plots]', or save as .csv or .json",
        )
