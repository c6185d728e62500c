"""AWS Service Quotas: the quotas of the account. Read ``backend``."""
