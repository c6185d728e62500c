"""Amazon CloudWatch: metrics and alarms.

``backend`` (read this module first) answers for metrics as CloudWatch does. ``store`` keeps the datapoints of a region.
``alarms`` evaluates alarms. ``metric_math`` and ``search`` compute expressions. ``resources`` has the resource types.
``elbv2.metrics`` and ``logs.backend`` add metrics.

May import: ``cloudformation.resource``.
"""
