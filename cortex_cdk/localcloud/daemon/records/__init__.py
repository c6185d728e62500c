"""What the account is made from, as JSON files that any later version can read.

``account`` (read it first) writes the records when something has changed, and makes the account again from them where
the snapshot cannot be read. One module knows one kind of record: ``stacks``, ``buckets``, ``images``,
``certificates``, ``parameters``, ``secrets``, ``log_groups``. ``store`` keeps the files; ``identifiers`` rewrites the
ids that a resource loses when it is made again.

May import: ``daemon.storage``, ``cloudformation``, ``services``. Why there are records beside the snapshot:
docs/decisions/0026.
"""
