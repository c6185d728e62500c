"""Amazon S3: buckets. ``resources`` has the resource types."""
