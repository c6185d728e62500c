"""Amazon ECR: images that stand for Python environments.

Read ``images`` first: an image's manifest names a folder of programs. ``resources`` has the resource types.

May import: ``containers``, ``python_environments``, ``cloudformation.resource``.
"""
