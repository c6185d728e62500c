"""What an account must allow whoever uses ``cortex``: which actions, on which resources, and why.

``grant`` says how one permission is written; read it first. ``calls`` has the calls that this library makes itself,
``resource_types`` what CloudFormation does in the user's name for each type of resource, ``documents`` turns both into
IAM policies. Whoever adds a call of boto3 adds its action to ``calls``, and whoever adds a type of resource to a stack
adds it to ``resource_types``: tests compare both with what happens.

May import: ``names``.
"""
