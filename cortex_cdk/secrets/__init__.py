"""Secrets that replicas get as environment variables: whether they exist, who uses them, and how people set them.

A value is read where a key has to be looked for or set, and forgotten at once: no message, record or file holds one.

``lookup`` finds out whether the secrets of a configuration exist, ``values`` sets and deletes one, ``usage`` reads
which APIs use which, ``listing`` lists them. May import: ``aws``, ``config``, ``names``, ``errors``.
"""
