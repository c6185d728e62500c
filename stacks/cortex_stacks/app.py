"""Entry point of the CDK app, for ``cortex_cdk.synthesis`` and for the stock toolkit (``cdk.json``).

With a synthesis request in the environment, the app makes the stacks of the request. Without one, it makes the stacks
that the toolkit's context asks for (``toolkit``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aws_cdk as cdk

from cortex_cdk.errors import CortexError
from cortex_cdk.synthesis.specs import ApiStackSpec, ClusterStackSpec, StackSpec, SynthesisRequest
from cortex_cdk.synthesis.synthesize import REQUEST_VARIABLE
from cortex_stacks import toolkit
from cortex_stacks.cluster import ClusterStack
from cortex_stacks.feature_flags import FEATURE_FLAGS
from cortex_stacks.realtime_api import RealtimeApiStack
from cortex_stacks.traffic_splitter import TrafficSplitterStack


def make_app(outdir: str | None = None) -> cdk.App:
    """Make an app with our feature flags that reports nothing to AWS.

    Args:
        outdir: Folder of the cloud assembly; None takes the one in ``CDK_OUTDIR``.
    """
    return cdk.App(analytics_reporting=False, context=FEATURE_FLAGS, outdir=outdir)


def add_stack(app: cdk.App, spec: StackSpec) -> cdk.Stack:
    """Add the stack that a specification describes, and return it."""
    if isinstance(spec, ClusterStackSpec):
        return ClusterStack(app, spec)
    if isinstance(spec, ApiStackSpec):
        return RealtimeApiStack(app, spec)
    return TrafficSplitterStack(app, spec)


def main() -> None:
    """Synthesize the stacks of the request, or of the context."""
    app = make_app()
    request_file = os.environ.get(REQUEST_VARIABLE)
    try:
        if request_file:
            specs = SynthesisRequest.model_validate_json(Path(request_file).read_text()).stacks
        else:
            specs = toolkit.specifications(app.node.try_get_context)
        for spec in specs:
            add_stack(app, spec)
    except CortexError as error:
        sys.exit("\n".join([error.message, *error.details]))
    app.synth()


if __name__ == "__main__":
    main()
