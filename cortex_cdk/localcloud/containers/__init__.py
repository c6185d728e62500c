"""Containers as processes: the work of the ECS agent and Docker on an instance, for this machine.

``driver`` starts, watches and ends containers; read this module first. ``container_spec`` turns a task definition into
a ``launch.Launch`` (command, environment, limits), or tells why the container cannot run here. ``process`` is one
running container; only this module starts programs, never through a shell. ``memory_limit`` enforces a container's
memory limit, ``output`` bounds its log, ``sessions`` ends all its processes. ``orphans`` ends processes that a killed
daemon left.

May import: ``settings``. Nothing here knows of ECS services or of moto.
"""
