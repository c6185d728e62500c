"""Shows the progress of an operation on stderr: plain lines, and on a terminal a spinner and a table of replicas."""

from __future__ import annotations

from collections import deque
from types import TracebackType

import click
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from cortex_cdk.deploy.build_log import is_step
from cortex_cdk.replicas.revisions import Rollout
from cortex_cdk.stack_operations.change_set import Change
from cortex_cdk.stack_operations.events import StackEvent
from cortex_cli.control_characters import on_stderr
from cortex_cli.output import interactive
from cortex_cli.rollout_table import rollout_table
from cortex_cli.terminal import can_draw, make_console

# Lines at the end of a log that a terminal shows, as Docker does.
LOG_LINES = 5
SIGNS = {"Add": "[green]+[/]", "Modify": "[yellow]~[/]", "Remove": "[red]-[/]"}
STACK = "AWS::CloudFormation::Stack"
SPINNER_COLUMNS = 2


class TerminalProgress:
    """A ``Progress`` for people.

    Args:
        yes: Answers every question with yes.
    """

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes
        self._console = make_console(stderr=True)
        self._spinner = self._console.status("starting")
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._draws = can_draw(self._console)
        self._line: RenderableType = ""
        self._rollouts: dict[str, Rollout] = {}

    def __enter__(self) -> TerminalProgress:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._spinner.stop()
        if self._rollouts:
            self._console.print(rollout_table(self._rollouts, self._console.width))
            self._rollouts = {}

    def step(self, subject: str, text: str) -> None:
        """Write a line."""
        self._log.clear()
        self._show(f"{_markup(subject)}: {_markup(text)}")
        self._console.print(f"[bold]{_markup(subject)}[/]: {_markup(text)}", soft_wrap=True)

    def log(self, subject: str, line: str) -> None:
        """Write a line of a log. A terminal keeps the beginnings of steps, and the last lines below the spinner."""
        if is_step(line) or not self._console.is_terminal:
            self._log.clear()
            self._console.print(f"[bold]{_markup(subject)}[/]: {_markup(line)}", soft_wrap=True)
            return
        self._log.append(line)
        shown = (Text(on_stderr(f"  {line}"), style="dim", no_wrap=True, overflow="ellipsis") for line in self._log)
        self._show(Group(Text(subject), *shown))

    def changes(self, subject: str, changes: tuple[Change, ...]) -> None:
        """Write one line for a creation, else one for each changed resource; none if only outputs or tags change."""
        if changes and all(change.action == "Add" for change in changes):
            self.step(subject, f"{len(changes)} resource{'s' * (len(changes) != 1)} to create")
            return
        for change in changes:
            anew = " (made anew)" if change.replacement else ""
            line = f"  {SIGNS.get(change.action, '?')} {_markup(change.what)}{anew}"
            self._console.print(line, soft_wrap=True)

    def event(self, subject: str, event: StackEvent) -> None:
        """Write a line for a failure or a roll-back; show other events beside the spinner."""
        if event.status.endswith("_FAILED"):
            self._console.print(f"  [red]failed[/] {_markup(event.what)}: {_markup(event.reason)}", soft_wrap=True)
        elif event.resource_type == STACK and "ROLLBACK_IN_PROGRESS" in event.status:
            self.step(subject, "rolling back")
        else:
            action = event.status.replace("_", " ").lower()
            self._show(f"{_markup(subject)}: {_markup(event.what)} {action}")

    def rollout(self, subject: str, rollout: Rollout) -> None:
        """Show how many replicas there are in a table that changes in place, on terminals where that is wanted."""
        if self._draws:
            # Another thread may be drawing what is there.
            self._rollouts = {**self._rollouts, subject: rollout}
            self._show(self._line)

    def confirm(self, subject: str, question: str) -> bool:
        """Ask a question if there is a person to ask; return whether the answer is yes."""
        if self._yes or not interactive():
            return self._yes
        self._spinner.stop()
        answer = click.confirm(on_stderr(f"{subject}: {question}"), err=True)
        self._spinner.start()
        return answer

    def _show(self, line: RenderableType) -> None:
        """Put a text beside the spinner, above the table."""
        self._line = line
        if not self._rollouts:
            self._spinner.update(line)
            return
        table = rollout_table(self._rollouts, self._console.width - SPINNER_COLUMNS)
        self._spinner.update(Group(Text.from_markup(line) if isinstance(line, str) else line, table))


def _markup(text: str) -> str:
    """Return a text for rich's markup on stderr."""
    return escape(on_stderr(text))
