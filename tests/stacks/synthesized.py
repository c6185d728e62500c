"""The template of one stack, as the CDK app makes it."""

from __future__ import annotations

from pathlib import Path

from aws_cdk.assertions import Template
from cortex_stacks.app import add_stack, make_app

from cortex_cdk.synthesis.specs import StackSpec


def template_of(spec: StackSpec, folder: Path) -> Template:
    """Synthesize a stack.

    Args:
        spec: What its template is made from.
        folder: Where the CDK writes.
    """
    return Template.from_stack(add_stack(make_app(str(folder)), spec))
