"""The log pipeline of a replica, for everything that any of its code logs.

``lines`` writes JSON lines; read it first. In workers, ``capture`` turns ``logging`` and ``print`` into lines on a
pipe. In the supervisor, ``pipeline`` passes lines on to standard output, and ``cloudwatch`` sends them to CloudWatch.

May import: ``results.json_values``.
"""
