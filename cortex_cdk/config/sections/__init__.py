"""The sections of ``cortex.yaml`` and ``cluster.yaml``: one frozen model a module, named as the section.

``predictor`` is the largest; read ``autoscaling`` first. May import: ``config.model``, ``config.quantities``.
"""
