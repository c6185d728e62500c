"""Typed specifications to CloudFormation templates.

``specs`` says what a template is made from; read it first. ``synthesize`` runs the CDK app in a child process, as the
CDK needs a second to load.

May import: ``capacity``, ``config``, ``names``, ``errors``.
"""
