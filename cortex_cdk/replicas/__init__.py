"""What ECS says of an API's replicas.

``stopped`` says why a replica ended, and whether anybody had asked for that; read it first. ``rollout`` watches
replicas while a stack is updated and finds out why they fail, ``pending`` says why replicas wait for an instance,
``remedies`` what to do about a failure.

May import: ``aws``, ``logs``, ``names``, ``project``.
"""
