"""AWS IAM: roles, inline policies and instance profiles. ``resources`` has the resource types."""
