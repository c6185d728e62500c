"""Checks beyond one section: files that a configuration names, the predictor's source, fields of the original Cortex.

Read ``referenced_files`` first. It calls ``predictor_source``, which parses the user's code with the help of
``python_bindings`` and never runs it. ``unsupported_fields`` and ``legacy_cluster`` know the files of the original.

May import: everything in ``config`` but ``load`` and ``load_cluster``.
"""
