"""Containers as processes: what the ECS agent and Docker do on an instance, done for one machine.

``placement`` turns a task and its task definition into a ``Launch`` (command, environment, limits) or says why
it cannot run here; ``driver`` starts it, watches it and ends it; ``orphans`` ends what a killed daemon left.
Only ``process`` starts programs, and never through a shell.
"""
