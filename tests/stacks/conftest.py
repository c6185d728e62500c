"""The Node of the wheel, before anything imports the CDK."""

import os

from cortex_cdk.assembly import node

os.environ["JSII_NODE"] = str(node())
