"""The processes of a replica: a supervisor, which is the container's main process, and its workers.

``supervisor`` starts and replaces workers; read it first. ``worker_process`` is its side of one worker, ``worker`` the
worker itself, which puts server, admission and application together. ``startup`` is the way from a project folder to a
predictor in service, ``child_processes`` what processes that a predictor starts inherit from its worker.

May import: everything but ``cli``.
"""
