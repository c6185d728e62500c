"""Amazon Route 53: hosted zones and their records. Nobody asks them: no name resolves to the local load balancer.

``resources`` has the resource type of records. moto answers the API, and makes hosted zones.
"""
