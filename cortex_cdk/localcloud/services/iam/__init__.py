"""AWS IAM: roles and instance profiles."""
