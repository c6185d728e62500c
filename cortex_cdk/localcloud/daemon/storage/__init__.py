"""What survives: the whole account as one snapshot, object bodies beside it.

1. ``snapshot`` turns moto's back ends (with our stacks, services and tasks in them, shared references and
   all) into bytes and back; ``pickling`` knows the few things that Python's pickle does not.
2. ``bodies`` keeps the bodies of S3 objects as files named by their content, so that a snapshot stays small.
3. ``durability`` decides when a snapshot is written, writes it so that a crash leaves the old or the new one,
   and restores it when the daemon starts.
"""
