"""Amazon CloudWatch: metrics that are kept and watched.

``store`` keeps the samples of a region, ``backend`` (read it first) shows them as CloudWatch does, ``alarms`` evaluates
alarms on them, with ``metric_math`` and ``search`` for expressions. Who adds metrics: ``elbv2.metrics`` and
``logs.embedded_metrics``.
"""
