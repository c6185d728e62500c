"""AWS CodeBuild: a build makes a Python environment, and an image that stands for the environment.

Read ``backend`` first. ``resources`` has the resource types.

May import: ``python_environments``, ``cloudformation.resource``, ``services.ecr``.
"""
