"""What ECS and ELB say of an API's replicas.

``status_rules`` decides ``live``, ``updating`` and ``error`` (pure); read it first. ``rollout`` watches replicas
while a stack is updated and finds out why they fail, ``pending`` says why replicas wait for an instance, ``stopped``
counts those that ended without being asked to.

May import: ``aws``, ``logs``, ``names``.
"""
