"""Turns a diagnosis into the text of ``cortex why``. Pure, so that its golden files need nothing deployed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from cortex_cdk.status.diagnosis import Diagnosis, Proof
from cortex_cdk.status.read_status import LIVE
from cortex_cli.control_characters import on_stdout
from cortex_cli.output import age, filled
from cortex_cli.suggestions import for_environment

NOW = "now"
"""Stands for the time of what is so now."""


def report(diagnosis: Diagnosis, now: datetime, width: int | None = None) -> str:
    """Return one paragraph, and below it what the paragraph rests on.

    Args:
        diagnosis: What is wrong.
        now: The moment that ages are counted to.
        width: Characters in a line of the terminal; None where there is none, and no line is broken.
    """
    head = f"{on_stdout(diagnosis.name)} ({diagnosis.status}):"
    paragraph = filled(f"{head} {on_stdout(_paragraph(diagnosis, now))}", width)
    # Styled last: the codes are no characters of a line.
    paragraph = paragraph.replace(head, click.style(head, bold=True), 1)
    return "\n".join([paragraph, *_evidence(diagnosis.evidence, now, width)])


def _paragraph(diagnosis: Diagnosis, now: datetime) -> str:
    cause, since = diagnosis.cause, diagnosis.since
    when = f" since {_clock(since, now)} ({age(since, now)} ago)" if since else ""
    if cause is None:
        so_far = "" if diagnosis.status == LIVE else " so far"
        return f"nothing is wrong{so_far}{f',{when}' if when else ''}: {diagnosis.summary}."
    what = for_environment(cause.message).rstrip(".")
    to_do = f" Next: {for_environment(cause.to_do)}." if cause.to_do else ""
    return f"{diagnosis.summary}. The first cause{f',{when}' if when else ''}: {what}.{to_do}"


def _clock(moment: datetime, now: datetime) -> str:
    local = moment.astimezone()
    day = "" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M:%S}"


def _evidence(proofs: Sequence[Proof], now: datetime, width: int | None) -> list[str]:
    if not proofs:
        return []
    rows = [(_clock(one.time, now) if one.time else NOW, on_stdout(one.source)) for one in proofs]
    when, who = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = ["", "evidence:"]
    for (moment, source), proof in zip(rows, proofs, strict=True):
        begin = f"  {moment:>{when}}  {source:<{who}}  "
        lines.append(filled(begin + on_stdout(proof.message), width, indent=" " * len(begin)))
    return lines
