"""The Node of the wheel, before anything imports the CDK."""

import os

from cortex_cdk.synthesis.synthesize import node

os.environ["JSII_NODE"] = str(node())
