"""Application Auto Scaling: scales ECS services.

``autoscaler`` (read this module first) keeps services within the bounds of their scalable targets, evaluates policies
once a minute of the local clock, and records scaling activities. ``target_tracking`` decides, by pure functions of
datapoints, capacity and past activities. ``models`` has the scalable targets and policies, and names the metric of each
policy. ``responses`` adds DescribeScalingActivities, which moto lacks; ``resources`` has the resource types.

To add a type of policy (step scaling, say): write its decision as pure functions beside ``target_tracking``, and call
them in ``autoscaler.Autoscaler._evaluate``. To track another metric: ``models.tracked_metrics``.

May import: ``cloudformation.resource``, and the services ``cloudwatch`` and ``ecs``.
"""
