"""CloudWatch metrics that are measured, kept and watched.

What flows through here: ``load_balancer`` reads Envoy's counters and ``embedded`` the log events that carry metrics;
both add to the ``store`` of a region, which ``cloudwatch`` shows as CloudWatch does; ``alarms`` evaluates alarms on
it, with ``expressions`` for metric math.
"""
