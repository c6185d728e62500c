"""The process of the local cloud.

``daemon`` starts everything in order; read this module first. ``api_server`` answers the AWS API, and ``peer`` keeps
other users out. ``reconciler`` starts tasks and routes requests as the recorded resources say. ``clock`` does the work
of each minute. ``durability`` keeps the state over restarts, as a snapshot (``storage``) and as ``records``.

May import: everything in ``localcloud``. Nothing there imports this package.
"""
