"""Shows plans: what a command would do, before it asks, and with ``--plan``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cortex_cli.control_characters import on_stdout
from cortex_cli.messages import warn
from cortex_cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cortex_cdk.capacity.pricing import Estimate, Item
    from cortex_cdk.environment import Environment
    from cortex_cdk.stack_operations.access_changes import AccessChange
    from cortex_cdk.stack_operations.plan_report import PlannedStack, PlanReport
    from cortex_cdk.stack_operations.template_changes import ResourceChange

CHANGES = 2
"""Exit code of ``--plan`` where something would change, as that of ``terraform plan -detailed-exitcode``."""
NOTHING = "nothing to change"
MOST_GRANTS = 12
"""Grants of a stack that are shown one by one."""
_SIGNS = {"add": ("+", "green"), "modify": ("~", "yellow"), "remove": ("-", "red")}
_ANEW = {"yes": ", made anew", "perhaps": ", perhaps made anew", "no": ""}


def end_with(report: PlanReport, environment: Environment, output: str) -> None:
    """Show a plan and end the command: exit code 2 if something would change, else 0.

    Args:
        report: The plan.
        environment: Where it would be carried out.
        output: ``json``, or ``table`` for people.
    """
    if output == "json":
        print_json(report.as_json())
    else:
        show(report, environment)
    sys.exit(CHANGES if report.changes else 0)


def show(report: PlanReport, environment: Environment) -> None:
    """Write a plan for people to stdout, its warnings to stderr."""
    if not report.changes:
        click.echo(NOTHING)
    for stack in report.stacks:
        if report.changes:
            _show_stack(stack, environment)
    for name in report.images:
        click.echo(on_stdout(f"image of {name}: would be built first (some minutes)"))
    for warning in report.warnings:
        warn(warning)
    if not report.changes:
        return
    click.echo()
    _show_costs(report, environment)
    click.echo(on_stdout(f"checked: {', '.join(report.checked)}"))


def _show_stack(stack: PlannedStack, environment: Environment) -> None:
    found = stack.preview
    subject = f"the cluster {stack.name}" if stack.kind == "Cluster" else f"{stack.name} ({stack.kind})"
    count = len(found.resources)
    rest = {
        "create": f"would be made in {environment.region}: {count} resource{'s' * (count != 1)}",
        "update": "would be changed:",
        "nothing": "stays as it is",
    }
    click.secho(on_stdout(f"{subject} {rest[found.action]}"), bold=True)
    if found.recovery:
        click.echo(on_stdout(f"  before that: {found.recovery}"))
    for line in stack.lines:
        click.echo(on_stdout(f"  {line}"))
    if found.action == "update":
        for resource in found.resources:
            _show_resource(resource)
        if found.tags_change:
            click.echo("  ~ tags of all resources")
    for line in _grants(found.access, is_new=found.action == "create"):
        click.echo(on_stdout(line))


def _show_resource(resource: ResourceChange) -> None:
    sign, color = _SIGNS[resource.action]
    properties = f" ({', '.join(resource.properties)})" if resource.properties else ""
    kept = ", kept in the account" if resource.is_kept and resource.action == "remove" else ""
    lost = "; what it holds, its address or its traffic is lost" if resource.loses_state else ""
    text = f"  {sign} {resource.what}{properties}{_ANEW[resource.replacement]}{kept}{lost}"
    click.secho(on_stdout(text), fg="red" if resource.loses_state else color)


def _grants(access: tuple[AccessChange, ...], *, is_new: bool) -> Iterator[str]:
    """Say what is opened; of a new stack only what goes through the network, and how many permissions there are."""
    widens = [change.grant for change in access if change.widens]
    narrows = [change.grant for change in access if not change.widens]
    if is_new:
        ways = [grant for grant in widens if grant.kind == "network"]
        yield from (f"  opens: {grant.text}" for grant in ways)
        if len(widens) > len(ways):
            yield f"  permissions: {len(widens) - len(ways)} (-o json lists them)"
        return
    for verb, grants in (("widens", widens), ("narrows", narrows)):
        yield from (f"  {verb}: {grant.text}" for grant in grants[:MOST_GRANTS])
        if len(grants) > MOST_GRANTS:
            yield f"  {verb}: {len(grants) - MOST_GRANTS} more (-o json lists them)"


def _show_costs(report: PlanReport, environment: Environment) -> None:
    if report.cost_after is None or (not report.cost_after.items and not report.cost_after.unknown):
        return
    is_of_cluster = any(stack.kind == "Cluster" for stack in report.stacks)
    show_cost(report.cost_after, environment, "such a cluster" if is_of_cluster else "these replicas")
    before = report.cost_before
    if before and before.monthly != report.cost_after.monthly:
        hour, month = cost_range(*before.hourly, digits=3), cost_range(*before.monthly, digits=2)
        click.echo(f"before: {hour} USD/hour, {month} USD/month")


def show_cost(cost: Estimate, environment: Environment, what: str = "such a cluster") -> None:
    """Write an estimate for people to stdout.

    Args:
        cost: The estimate.
        environment: Where it applies.
        what: What it is the cost of.
    """
    if not environment.is_billed:
        click.echo(f"{environment.location.capitalize()} costs nothing. On AWS {what} would cost:")
    rows = [_cost_row(item) for item in cost.items]
    total = {
        "at least": "",
        "at most": "",
        "USD/hour": cost_range(*cost.hourly, digits=3),
        "USD/month": cost_range(*cost.monthly, digits=2),
    }
    together = "together, of what is known" if cost.unknown else "together"
    print_table([*rows, {"what": together, **total}])
    for name in cost.unknown:
        click.echo(f"not counted, because its price is not known here: {name}")
    for note in cost.notes:
        click.echo(f"note: {note}")


def _cost_row(item: Item) -> dict[str, str]:
    return {
        "what": item.name,
        "at least": str(item.fewest),
        "at most": str(item.most),
        "USD/hour": cost_range(item.least, item.highest, digits=3),
        "USD/month": cost_range(*item.monthly, digits=2),
    }


def cost_range(least: float, highest: float, *, digits: int) -> str:
    """Write the bounds of a cost."""
    low, high = f"{least:.{digits}f}", f"{highest:.{digits}f}"
    return low if low == high else f"{low} to {high}"
