"""EC2 instances that tasks are placed on: simulated machines with real limits.

An instance has the CPU, memory and GPUs that ECS registers for its type, and needs a while to start. The tasks on it
are processes of this machine. What flows through here:

1. ``groups`` replaces moto's Auto Scaling groups: they have as many instances as they want, of the first type of
   their launch template or mixed instances policy, and each new one starts for a while.
2. ``fleet`` looks at all of them in every round of the data plane: instances that have started are registered as
   container instances (``container_instance``) of the clusters that use their group by a capacity provider; groups
   grow while tasks wait for room and shrink when they have had instances to spare for long.
3. ``placement`` (where a task goes, or what is in its way) and ``scaling`` (how many instances are needed) decide;
   they are pure functions of ``resources``.
"""
