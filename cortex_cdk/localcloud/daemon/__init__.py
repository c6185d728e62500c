"""The process of the local cloud.

``daemon`` starts everything in order; read it first. ``api_server`` answers the AWS API, ``reconciler`` makes true what
was asked for, ``clock`` does what happens once a minute, ``durability`` and ``storage`` keep the state over restarts.

May import: everything in ``localcloud``; nothing there imports it.
"""
