"""The processes of a replica.

``supervisor`` is the container's main process; read it first. ``worker_process`` is its side of a worker, ``worker``
the worker itself, ``startup`` the way from a project folder to a predictor in service, ``child_processes`` what
processes of a predictor inherit.

May import: everything but ``cli``.
"""
