"""EC2 Auto Scaling groups that have as many instances as they want. Read ``groups`` first."""
