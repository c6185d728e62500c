"""Metrics, written as log lines in CloudWatch's embedded metric format.

``telemetry`` counts requests; read it first. ``monitoring`` counts predictions, ``histogram`` keeps distributions,
``emf`` writes the lines. Numbers are summed up in memory and written every ten seconds, so that the cost of CloudWatch
does not grow with traffic.

May import: ``logs``, ``results``, ``request_context``, ``spec``.
"""
