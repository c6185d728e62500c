"""What became of every deployment, kept in the cluster's bucket: ``history/NAME/000007.json``.

``record`` is one deployment; read it first. ``store`` numbers, writes, reads and drops records. ``releases`` finds out
how each ended, which one serves, and which one a roll-back means (pure); ``endings`` knows why one failed that nobody
saw end. ``commit`` asks git. ``parts`` reads what a record names, ``compare`` makes the differences between two,
``export`` writes the files of one.

May import: ``synthesis``, ``stack_operations``, and what is below them.
"""
