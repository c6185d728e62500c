"""Checks that run before a deployment creates anything.

``names``: an API stays an API, a splitter a splitter. ``capacity``: the cluster has room. ``images``: the user's own
images exist.
"""
