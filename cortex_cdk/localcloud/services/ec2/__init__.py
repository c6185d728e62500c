"""Amazon EC2: instance types, and the parts of a network that moto lacks or cannot remove.

Read ``resources.network`` first. ``instance_types`` shows no more GPUs than this machine has.

May import: ``containers``, ``cloudformation.resource``.
"""
