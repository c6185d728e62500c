"""The Application Load Balancer of the local cloud.

What flows through here, in order:

1. ``routing.read`` turns moto's ELBv2 state (load balancers, listeners, rules, target groups) into plain values.
2. ``envoy_config`` turns those into Envoy's resources: listeners, routes, clusters, endpoints (pure functions).
3. ``envoy`` keeps one Envoy process running on those files; a changed file is moved over the old one, and Envoy
   takes it up without dropping a connection.
4. ``health`` checks targets as their target group says and writes the result into the target group
   (``targets.TargetGroup``), from where it reaches both Envoy's endpoints and ``DescribeTargetHealth``.
5. ``draining`` finds out when no request is active on a deregistered target any more.
"""
