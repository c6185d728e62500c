"""The CDK app: a cluster, Realtime APIs and traffic splitters as CloudFormation stacks.

``app`` is the entry point; read it first. Specifications (``cortex_cdk.synthesis.specs``) go in, one template each
comes out: ``cluster``, ``realtime_api``, ``traffic_splitter``, made of ``constructs``. Templates hold literal ids of
the cluster's resources: no exports, no references between stacks, no look-ups, no assets.

May import: ``cortex_cdk``, and as the only package ``aws_cdk``.
"""

import os

from cortex_cdk.synthesis.synthesize import NODE_VARIABLE, node

# The CDK supports certain versions of Node only, so the machine's own Node is not used.
os.environ.setdefault(NODE_VARIABLE, str(node()))
