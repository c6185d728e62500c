"""The sections of ``cortex.yaml`` and ``cluster.yaml``: one frozen model a module, which is named as the section.

Read ``autoscaling`` first; ``predictor`` is the largest. May import: ``config.model``, ``config.quantities``.
"""
