"""The CDK app: a cluster, Realtime APIs and traffic splitters as CloudFormation stacks.

Specifications (``cortex_cdk.assembly``) go in, one template for each comes out. Templates hold literal ids of the
cluster's resources: no exports, no references between stacks, no look-ups, no assets.
"""
