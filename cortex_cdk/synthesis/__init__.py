"""Turns typed specifications into CloudFormation templates.

``specs`` has the specifications; read it first. ``synthesize`` runs the CDK app in a child process, as the CDK takes a
second to load.

May import: ``capacity``, ``config``, ``names``, ``errors``.
"""
