"""Metrics as embedded metric format lines in the log: ``emf`` writes them, ``histogram`` keeps distributions,
``telemetry`` counts requests, ``monitoring`` counts predictions. All are summed up in memory and written every ten
seconds, so that their cost does not grow with traffic."""
