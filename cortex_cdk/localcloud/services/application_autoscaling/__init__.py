"""Application Auto Scaling that scales.

``target_tracking`` decides (pure functions of datapoints, capacity and past activities); ``autoscaler`` keeps
services within the bounds of their scalable targets, evaluates the policies once a minute of the local clock, and
records scaling activities; ``responses`` adds DescribeScalingActivities, which moto lacks.
"""
