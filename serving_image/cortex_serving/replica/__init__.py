"""The processes of a replica: a supervisor, which is the container's main process, and its workers.

``supervisor`` starts and replaces workers; read it first. ``worker_process`` is its side of one worker, ``worker`` the
worker itself, which puts server, admission and application together. ``startup`` is the way from a project folder to a
predictor in service, ``warm_up`` its first request, ``child_processes`` what a predictor's processes inherit from the
worker.

May import: everything but ``cli``.
"""
