"""The table that ``cortex deploy`` keeps up to date on a terminal: the replicas of each API, by revision."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.text import Text

from cortex_cdk.replicas.revisions import DRAINING, FAILED, FAILING, LIVE, NO_CAPACITY, RevisionReplicas, Rollout
from cortex_cli.control_characters import visible

NARROW = 72
"""In less columns than that a line has no room for everything."""
REVISION_DIGITS = 7
"""As many as Git shows of a commit."""
STYLES = {LIVE: "green", FAILED: "red", FAILING: "red", NO_CAPACITY: "yellow", DRAINING: "dim"}
WORDS = ("revision", "state")
"""The columns that begin at the left; the others are numbers."""


def rollout_table(rollouts: Mapping[str, Rollout], width: int) -> Group:
    """Draw the table.

    Args:
        rollouts: How far each API has come, by its name.
        width: Characters in a line. With few, revisions are cut and replicas that start are left out.

    Returns:
        Lines that a terminal cuts rather than wraps.
    """
    is_narrow = width < NARROW
    rows = {name: _rows(rollout, is_narrow) for name, rollout in rollouts.items()}
    cells = [row for found in rows.values() for row in found]
    columns = {column: max(len(column), *(len(row[column]) for row in cells)) for column in cells[0]}
    gap = " " if is_narrow else "  "

    def line(row: Mapping[str, str]) -> str:
        padded = [row[name].ljust(size) if name in WORDS else row[name].rjust(size) for name, size in columns.items()]
        return f"  {gap.join(padded)}"

    lines = [_line(line({name: name for name in columns}), "bold")]
    for name, rollout in rollouts.items():
        lines.append(_line(visible(name), "bold"))
        lines += [_line(line(row), STYLES.get(row["state"], "")) for row in rows[name]]
        if rollout.reason:
            lines.append(_line(f"  {visible(rollout.reason.splitlines()[0])}", "dim"))
    return Group(*lines)


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _rows(rollout: Rollout, is_narrow: bool) -> list[dict[str, str]]:
    return [_row(one, is_narrow) for one in (rollout.new, rollout.old) if one]


def _row(replicas: RevisionReplicas, is_narrow: bool) -> dict[str, str]:
    counts = {
        "desired": replicas.desired,
        "starting": replicas.starting,
        "running": replicas.running,
        "healthy": replicas.healthy,
        "failed": replicas.failed,
    }
    if is_narrow:
        del counts["starting"]
    revision = replicas.revision[:REVISION_DIGITS] if is_narrow else replicas.revision
    return {"revision": revision, "state": replicas.state, **{name: str(count) for name, count in counts.items()}}
