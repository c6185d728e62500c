"""Amazon CloudWatch Logs: log groups, filter patterns, and metrics that log events carry."""
