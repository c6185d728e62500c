"""Draws measurements with characters. Pure, so that its golden files need nothing deployed.

A column is one period, or the highest of several. Where several measures share a plot, the lowest is the darkest. The
line below a plot is drawn only where something was measured: a gap is no zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from itertools import zip_longest

import click

from cortex_cdk.status.panels import Panel, panels_of
from cortex_cdk.status.series import Measurements, Series

GAP = 3
LABEL = 7
"""Characters of the number left of a plot."""
LEAST_PLOT = 36
"""Characters that a plot needs: as many splitter members stand side by side as have so many."""
TWO_COLUMNS = 120
"""From so many characters on, the plots of an API stand in two columns."""
STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
SMALLEST = 1e-9
NOTHING = "nothing was measured"
Layer = Sequence[float | None]


@dataclass(frozen=True)
class Glyphs:
    """The characters that plots are made of.

    Attributes:
        parts: Fillings of one character, from empty to full.
        shades: One for each measure of a plot, the lowest measure first.
    """

    parts: str
    shades: str
    side: str
    corner: str
    line: str


BLOCKS = Glyphs(" ▁▂▃▄▅▆▇█", "█▒░", "│", "└", "─")
ASCII = Glyphs(" .:#", "#+.", "|", "+", "-")


@dataclass(frozen=True)
class Layout:
    """How plots are drawn.

    Attributes:
        height: Lines of a plot.
        is_dense: Whether plots stand without axes and empty lines between them. A zero is a line then, and a gap none.
        glyphs: What with.
    """

    height: int
    is_dense: bool = False
    glyphs: Glyphs = BLOCKS


LAYOUTS = (Layout(4), Layout(3), Layout(2), Layout(3, True), Layout(2, True), Layout(1, True))
"""From the highest to the lowest; the first is that of a terminal that may scroll."""


def draw(
    measurements: Measurements,
    width: int,
    zone: tzinfo | None = None,
    glyphs: Glyphs = BLOCKS,
    height: int | None = None,
) -> str:
    """Return every plot, below a line that says of what and when.

    Args:
        measurements: Of an API, or of a splitter's APIs side by side.
        width: Most characters in a line.
        zone: The zone that times are told in; None takes this machine's.
        glyphs: What to draw with.
        height: Most lines, as far as plots can be made so low; None where the terminal may scroll.
    """
    for layout in LAYOUTS:
        text = _drawn(measurements, width, zone, replace(layout, glyphs=glyphs))
        if height is None or text.count("\n") < height:
            break
    return text


def _drawn(measurements: Measurements, width: int, zone: tzinfo | None, layout: Layout) -> str:
    columns, one = _columns(len(measurements.apis), width)
    blocks: list[list[str]] = []
    for panel in panels_of(measurements):
        blocks += _blocks(measurements, panel, one, zone, layout)
    if len(measurements.apis) == 1:
        rows = [blocks[at : at + columns] for at in range(0, len(blocks), columns)]
    else:
        size = len(measurements.apis)
        members = [blocks[at : at + size] for at in range(0, len(blocks), size)]
        rows = [of[at : at + columns] for of in members for at in range(0, size, columns)]
    parts = ["\n".join(_beside(row, one)) for row in rows]
    between = "\n" if layout.is_dense else "\n\n"
    return f"{_head(measurements, zone)}\n\n{between.join(parts)}"


def points_within(width: int) -> int:
    """Return how many periods the plots of an API can show one by one."""
    return _columns(1, width)[1] - LABEL - 2


def _columns(apis: int, width: int) -> tuple[int, int]:
    """How many plots stand side by side, and how many characters each has."""
    if apis == 1:
        columns = 2 if width >= TWO_COLUMNS else 1
    else:
        columns = max(1, min(apis, (width + GAP) // (LEAST_PLOT + GAP)))
    return columns, max((width + GAP) // columns - GAP, LABEL + 12)


def _head(measurements: Measurements, zone: tzinfo | None) -> str:
    first, last = _ends(measurements)
    name, long = measurements.name, last - first >= timedelta(hours=24)
    begin, end = (_time(moment, zone, with_day=long) for moment in (first, last))
    zone_name = last.astimezone(zone).tzname()
    until = measurements.counted_until
    counted = f"; requests are counted until {_time(until, zone, with_day=False)}" if until else ""
    return click.style(f"{name}, {begin} to {end} {zone_name}{counted}", bold=True)


def _ends(measurements: Measurements) -> tuple[datetime, datetime]:
    return measurements.times[0], measurements.times[-1] + measurements.period


def _time(moment: datetime, zone: tzinfo | None, *, with_day: bool) -> str:
    return moment.astimezone(zone).strftime("%b %d %H:%M" if with_day else "%H:%M")


def _blocks(
    measurements: Measurements, panel: Panel, width: int, zone: tzinfo | None, layout: Layout
) -> list[list[str]]:
    """One block of lines for each API, all with the same scale."""
    title = panel.titled(measurements.period)
    found = [panel.series(measurements, api) for api in measurements.apis]
    layers = [_layers(series, panel.stacks) for series in found]
    highest = max((value for of in layers for layer in of for value in layer if value is not None), default=None)
    whose = [f"{title}, {api}: " if len(found) > 1 else f"{title}: " for api in measurements.apis]
    heads = [
        _wrapped(who, _legend(series, panel.unit, layout.glyphs), width)
        for who, series in zip(whose, found, strict=True)
    ]
    lines_of_heads = max(map(len, heads))
    blocks = []
    for head, of_api in zip(heads, layers, strict=True):
        lines = [click.style(line, bold=True) + " " * (width - len(line)) for line in head]
        lines += [" " * width] * (lines_of_heads - len(head))
        if highest:
            lines += _plot(of_api, _round_up(highest), panel.unit, width, layout)
            lines += [] if layout.is_dense else [_below(measurements, zone, width)]
        blocks.append(lines)
    return blocks


def _legend(series: Sequence[tuple[str, Series]], unit: str, glyphs: Glyphs) -> list[str]:
    """Say what each shade is, and its last value; of requests, how many there were."""
    measured = [(shade, *of) for shade, of in zip(glyphs.shades, series, strict=False) if of[1].measured]
    if not measured:
        return [NOTHING]
    if not measured[0][2].is_count:
        return [
            f"{shade} {label} {amount(one.measured[-1], unit)}" if label else f"last {amount(one.measured[-1], unit)}"
            for shade, label, one in measured
        ]
    totals = [(shade, label, sum(one.measured)) for shade, label, one in measured]
    if not any(total for _, _, total in totals):
        return ["none"]
    return [f"{shade} {label} {total:,.0f}" if label else f"{total:,.0f} in all" for shade, label, total in totals]


def _wrapped(begin: str, words: Sequence[str], width: int) -> list[str]:
    """Put words on lines of that width, without breaking one."""
    lines = [begin.rstrip()]
    for number, word in enumerate(words):
        gap = " " if number == 0 else "  "
        if len(lines[-1]) + len(gap) + len(word) <= width:
            lines[-1] += gap + word
        else:
            lines.append(f"  {word}")
    return [line[:width] for line in lines]


def _layers(series: Sequence[tuple[str, Series]], stacks: bool) -> list[Layer]:
    """The heights of each measure, the lowest measure first."""
    layers = [one.values for _, one in series]
    if not stacks:
        return list(layers)
    heights: list[Layer] = []
    for number in range(len(layers)):
        summed = zip(*layers[: number + 1], strict=True)
        heights.append([None if None in values else sum(v for v in values if v is not None) for values in summed])
    return heights


def _plot(layers: Sequence[Layer], top: float, unit: str, width: int, layout: Layout) -> list[str]:
    # On one line, only the highest measure can be told from others.
    fitted = [_fitted(layer, width - LABEL - 2) for layer in (layers if layout.height > 1 else layers[-1:])]
    columns = [_column(values, top, layout) for values in zip(*fitted, strict=True)]
    lines = []
    for row in reversed(range(layout.height)):
        label = amount(top, unit) if row == layout.height - 1 else ""
        lines.append(f"{label:>{LABEL}} {layout.glyphs.side}{''.join(column[row] for column in columns)}")
    if layout.is_dense:
        return [text.ljust(width) for text in lines]
    line = "".join(
        " " if all(value is None for value in values) else layout.glyphs.line for values in zip(*fitted, strict=True)
    )
    return [text.ljust(width) for text in [*lines, f"{'0':>{LABEL}} {layout.glyphs.corner}{line}"]]


def _fitted(layer: Layer, width: int) -> Layer:
    """Give values as many columns as there are: each some of them, or several together one, their highest."""
    if len(layer) <= width:
        return [layer[column * len(layer) // width] for column in range(width)]
    together = -(-len(layer) // width)
    groups = [layer[at : at + together] for at in range(0, len(layer), together)]
    highest = [max((value for value in group if value is not None), default=None) for group in groups]
    return [highest[column * len(highest) // width] for column in range(width)]


def _column(values: Sequence[float | None], top: float, layout: Layout) -> str:
    """One column from the bottom up."""
    height, glyphs = layout.height, layout.glyphs
    fine = len(glyphs.parts) - 1
    known = [(value, shade) for value, shade in zip(values, glyphs.shades, strict=False) if value]
    if not known:
        is_zero = layout.is_dense and any(value is not None for value in values)
        return (glyphs.line if is_zero else " ").ljust(height)
    if len(values) == 1:
        filled = max(1, round(known[0][0] / top * height * fine))
        return "".join(glyphs.parts[min(fine, max(0, filled - row * fine))] for row in range(height))
    # What is measured is seen: even a little is one character high.
    heights = [(max(1, round(value / top * height)), shade) for value, shade in known]
    return "".join(next((shade for most, shade in heights if row < most), " ") for row in range(height))


def _below(measurements: Measurements, zone: tzinfo | None, width: int) -> str:
    """The times at the ends of a plot."""
    first, last = _ends(measurements)
    with_day = last - first >= timedelta(hours=24)
    begin, stop = (_time(moment, zone, with_day=with_day) for moment in (first, last))
    return f"{' ' * (LABEL + 2)}{begin}{stop:>{width - LABEL - 2 - len(begin)}}"


def _beside(blocks: Sequence[Sequence[str]], width: int) -> list[str]:
    rows = zip_longest(*blocks, fillvalue=" " * width)
    return [(" " * GAP).join(parts).rstrip() for parts in rows]


def _round_up(value: float) -> float:
    """The next number that is easy to read."""
    value = max(value, SMALLEST)
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in STEPS if step * size >= value * (1 - 1e-9))


def amount(value: float, unit: str) -> str:
    """Return a number with three digits and its unit: ``1.2k``, ``45 ms``, ``2.5 s``, ``80 %``."""
    if unit == "ms" and value >= 999.5:
        value, unit = value / 1000, "s"
    if unit == "" and value >= 999.5:
        for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if value >= size * 0.9995:
                return f"{value / size:.3g}{suffix}"
    text = f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()
