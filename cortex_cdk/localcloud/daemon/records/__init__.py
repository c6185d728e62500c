"""The records: JSON files from which any later version can make the account again.

``account`` (read it first) writes the records when something has changed, and reads them where the snapshot cannot be
read. Each kind of record has a module: ``stacks``, ``buckets``, ``images``, ``certificates``, ``parameters``,
``secrets``, ``hosted_zones``, ``log_groups``. ``store`` keeps the files. ``identifiers`` rewrites ids that change when
a resource is made again.

May import: ``daemon.storage``, ``cloudformation``, ``services``. Why there are records beside the snapshot:
docs/decisions/0026.
"""
