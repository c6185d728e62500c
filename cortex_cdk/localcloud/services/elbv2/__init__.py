"""Elastic Load Balancing: the Application Load Balancer, by an Envoy process.

Read ``routing`` first. In the order of the data:

1. ``routing.read`` turns moto's ELBv2 state (load balancers, listeners, rules, target groups) into plain values;
``tls``
   reads the certificates of listeners.
2. ``envoy_config`` turns the values into Envoy's resources: listeners, routes, clusters, endpoints. Pure functions.
3. ``envoy`` keeps one Envoy process running on files of these resources. A changed file is moved over the old one, and
   Envoy reads the file without dropping a connection.
4. ``health`` checks targets as their target group says, and writes the result into the target group
   (``targets.TargetGroup``). Envoy's endpoints and ``DescribeTargetHealth`` both show this result.
5. ``draining`` tells when a deregistered target has no active request any more.
6. ``metrics`` turns Envoy's counters into the metrics of ``AWS/ApplicationELB``. ``limits`` refuses too many rules.

``resources`` has the resource types. May import: ``containers``, ``cloudformation.resource``, ``services.cloudwatch``.
"""
