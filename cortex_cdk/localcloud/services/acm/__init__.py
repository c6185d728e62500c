"""AWS Certificate Manager: certificates that are issued at once, and sign themselves (``elbv2.tls`` makes them).

``resources`` has the resource type of CloudFormation. moto answers the API.
"""
