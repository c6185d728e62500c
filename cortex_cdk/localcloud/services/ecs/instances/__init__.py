"""Container instances: simulated machines with real limits.

An instance has the CPU, memory and GPUs that ECS registers for its type (``task_resources``, ``container_instance``).
``placement`` decides where a task goes, or what is in its way, and ``managed_scaling`` how many instances are needed;
both are pure. ``ecs.fleet`` looks at all of them in every round.
"""
