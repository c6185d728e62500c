"""Amazon CloudWatch Logs. ``backend`` (read it first) keeps log events; ``embedded_metrics`` finds metrics in them."""
