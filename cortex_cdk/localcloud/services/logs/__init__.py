"""Amazon CloudWatch Logs.

``backend`` (read this module first) keeps log events. ``embedded_metrics`` finds metrics in log events,
``filter_patterns`` the events that are asked for. ``resources`` has the resource types.

May import: ``cloudformation.resource``, ``services.cloudwatch``.
"""
