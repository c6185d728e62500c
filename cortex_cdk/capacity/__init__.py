"""CPUs, memory and prices of EC2 instances, and how many replicas an instance can hold.

Read ``fit`` first: it compares a replica's needs with the instances of a group. ``instance_types`` and ``pricing`` read
the dated tables beside them; ``instance_start`` names the machine images. Nothing here calls AWS.

May import: ``config``, ``names``, ``errors``.
"""
