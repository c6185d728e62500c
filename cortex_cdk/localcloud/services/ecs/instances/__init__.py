"""Container instances: simulated machines with real limits.

An instance has the CPU, memory and GPUs that ECS registers for its type (``task_resources``, ``container_instance``).
``placement`` (read this module first) decides on which instance a task runs, or why on none. ``managed_scaling``
decides how many instances a group needs. Both are pure; ``ecs.fleet`` applies them in each round.

May import: ``capacity.instance_types``, ``services.autoscaling``. Nothing here knows of services or deployments.
"""
