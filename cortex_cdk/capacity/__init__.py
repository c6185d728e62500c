"""What EC2 instances have and cost, and where a replica fits.

``instance_types`` and ``pricing`` read the dated tables beside them; ``fit`` (read it first) compares a replica's needs
with the instances of a group. Pure: no network.

May import: ``config``, ``names``, ``errors``.
"""
