"""The snapshot: the whole account as one pickle, and the bodies of S3 objects beside it.

``snapshot`` (read it first) turns moto's back ends, with our stacks, services and tasks, into bytes and back.
``pickling`` does the few things that Python's pickle cannot. ``bodies`` keeps the bodies of S3 objects as files named
by their content, so that a snapshot stays small. ``daemon.durability`` decides when a snapshot is written.

May import: nothing of ``localcloud``, apart from the classes that a pickle names.
"""
