"""The CDK app: a cluster, Realtime APIs and traffic splitters as CloudFormation stacks.

Specifications (``cortex_cdk.synthesis.synthesize``) go in, one template for each comes out. Templates hold literal
ids of the cluster's resources: no exports, no references between stacks, no look-ups, no assets.
"""

import os

from cortex_cdk.synthesis.synthesize import node

# The CDK needs a Node of a version that it supports; whatever else is on the machine does not matter.
os.environ.setdefault("JSII_NODE", str(node()))
