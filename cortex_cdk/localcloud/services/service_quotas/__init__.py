"""AWS Service Quotas: the default quotas."""
