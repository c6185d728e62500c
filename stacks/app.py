"""Entry point of the CDK app (``cdk.json``, and the child process of ``cortex_cdk.assembly.synthesize``)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aws_cdk as cdk

from cortex_cdk.assembly import (
    OUTDIR_VARIABLE,
    REQUEST_VARIABLE,
    ApiStackSpec,
    ClusterStackSpec,
    SplitterStackSpec,
    StackSpec,
    SynthesisRequest,
)
from stacks.cluster import ClusterStack
from stacks.feature_flags import FEATURE_FLAGS
from stacks.realtime_api import RealtimeApiStack
from stacks.traffic_splitter import TrafficSplitterStack


def add_stack(app: cdk.App, spec: StackSpec) -> cdk.Stack:
    """Add the stack that a specification describes."""
    if isinstance(spec, ClusterStackSpec):
        return ClusterStack(app, spec)
    if isinstance(spec, ApiStackSpec):
        return RealtimeApiStack(app, spec)
    assert isinstance(spec, SplitterStackSpec)
    return TrafficSplitterStack(app, spec)
