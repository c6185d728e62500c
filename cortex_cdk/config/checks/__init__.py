"""Checks that look beyond one section: at files that are named, at the predictor's source, at fields of older versions.

``referenced_files`` comes first; it calls ``predictor_source`` (which parses, and never runs, the user's code with the
help of ``python_bindings``). ``unsupported_fields`` and ``legacy_cluster`` know the original Cortex's files.

May import: everything in ``config`` but ``load`` and ``load_cluster``.
"""
